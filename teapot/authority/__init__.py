"""Who is the bearer of this token, and which local accounts may be reached for them?

Runs as teapot-authority, without capabilities. It verifies tokens, maps identities to accounts and tells the spawner
which gateway may reach which account. It listens to nobody but its peers, connects out to configured issuers and to
ALISE only, and never sees a file or a request path.

A question's way: gateway_desk.py (a gateway asks) -> answers.py -> authenticate.py -> admission.py (map_identity.py by
mapping_file.py or alise_links.py; account_directory.py) -> serve.py (rows to the spawner first, then the answer).
account_watch.py and alise_feed.py end what is not true any more.
"""
