"""What the master knows after it has read its configuration, and the part of it that each role is told."""

import os
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from teapot.channel import start
from teapot.configuration import Accounts, Configuration
from teapot.master.service_accounts import Identities, Identity
from teapot.master.tls_files import TlsFiles


class Settings(NamedTuple):
    configuration: Configuration
    path: Path
    identities: Identities
    tls: TlsFiles
    gateways: int
    secrets: int  # of the authority: a memfd
    tape_rest_api: bytes  # the site's document; b"": none

    def identity(self, role: str) -> Identity | None:
        """As whom the role is executed; None: as ourselves (single-account mode)."""
        return None if self.identities.single_account else self.identities.of_role[role]

    def spawner(self, master: int, number: int) -> start.SpawnerStart:
        c = self.configuration
        return start.SpawnerStart(
            **self._common("spawner", master, number),
            accounts=self._policy(),
            areas=c.storage_area,
            worker=c.worker,
            single_account=self.identities.single_account,
        )

    def authority(self, master: int, number: int) -> start.AuthorityStart:
        c = self.configuration
        return start.AuthorityStart(
            **self._common("authority", master, number),
            server=c.server,
            trust=c.trust,
            outbound=c.outbound,
            issuers=c.issuer,
            mapping=c.mapping,
            secrets=self.secrets,
            accounts=self._policy(),
            areas=c.storage_area,
            rules=c.rule,
            bans=c.ban,
            single_account=self.identities.single_account,
        )

    def gateway(self, master: int, number: int, listeners: tuple[int, ...]) -> start.GatewayStart:
        c = self.configuration
        return start.GatewayStart(
            **self._common("gateway", master, number),
            server=c.server,
            areas=c.storage_area,
            rules=c.rule,
            listening=listeners,
            certificate=self.tls.certificate,
            key=self.tls.key,
            tape_rest_api=self.tape_rest_api,
        )

    def observer(self, master: int, number: int, listeners: tuple[int, ...]) -> start.ObserverStart:
        return start.ObserverStart(
            **self._common("observer", master, number),
            server=self.configuration.server,
            listening=listeners,
            gateways=self.gateways,
            notify_socket=os.environ.get("NOTIFY_SOCKET", ""),
            watchdog_s=int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6,
        )

    def _policy(self) -> Accounts:
        """Nobody is ever served as one of our own accounts, whatever a mapping says: a worker could stop or limit our processes."""
        policy, own = self.configuration.accounts, self.identities
        ours = () if own.single_account else tuple(identity.name for identity in own.of_role.values())
        return replace(policy, denied=(*policy.denied, *ours))

    def _common(self, role: str, master: int, number: int) -> dict:  # type: ignore[type-arg]
        account = self.identities.of_role[role].name
        return {"number": number, "master": master, "account": account, "log_level": self.configuration.server.log_level}
