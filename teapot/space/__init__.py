"""How much of a storage is used and left: what a kernel, a file system or a site's command says of it. Crosses domains; no policy."""
