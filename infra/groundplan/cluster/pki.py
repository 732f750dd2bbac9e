"""The cluster's certificates: made once, kept in files that only root can read."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundplan.cluster.addresses import Addresses
from groundplan.cluster.state import write_atomically

LIFETIME = timedelta(days=3650)
# A certificate with less than this left is made anew by the next `up`.
RENEW_BEFORE = timedelta(days=90)


@dataclass(frozen=True)
class Identity:
    """A certificate to be made.

    name: its file name without ending. groups: what Kubernetes takes as the user's groups.
    hosts: names and addresses that a server is reached at; none for a pure client.
    """

    name: str
    authority: str
    common_name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    client: bool = True


@dataclass(frozen=True)
class Pki:
    """The folder with all keys and certificates."""

    folder: Path

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def ensure(self, addresses: Addresses, workers: Iterable[int]) -> set[str]:
        """Make what is missing, outdated or for other hosts; return the names of what was made."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        made: set[str] = set()
        for authority in ("cluster-ca", "etcd-ca", "front-proxy-ca"):
            if self._still_good(authority, None, ()):
                continue
            _make_authority(self, authority)
            made.add(authority)
        if not self.key("service-account").exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_atomically(self.folder / "service-account.pub", _public_text(key))
            write_atomically(self.key("service-account"), _key_text(key))
        for identity in identities(addresses, workers):
            if identity.authority in made or not self._still_good(
                identity.name, identity.authority, identity.hosts
            ):
                _issue(self, identity)
                made.add(identity.name)
        return made

    def remove(self, name: str) -> None:
        self.certificate(name).unlink(missing_ok=True)
        self.key(name).unlink(missing_ok=True)

    def _still_good(self, name: str, authority: str | None, hosts: tuple[str, ...]) -> bool:
        """Tell whether a complete pair is there that was issued by the authority for just these hosts."""
        try:
            text = self.certificate(name).read_bytes()
            key = serialization.load_pem_private_key(self.key(name).read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(text)
            if authority:
                issuer = x509.load_pem_x509_certificate(self.certificate(authority).read_bytes())
                certificate.verify_directly_issued_by(issuer)
        except (OSError, ValueError, TypeError, InvalidSignature):
            return False
        if certificate.public_key() != key.public_key():
            return False
        if certificate.not_valid_after_utc - datetime.now(UTC) < RENEW_BEFORE:
            return False
        return hosts == () or set(hosts) == _hosts_of(certificate)


def identities(addresses: Addresses, workers: Iterable[int]) -> list[Identity]:
    """Return every certificate that a cluster needs, apart from its authorities."""
    host, loopback = str(addresses.host), str(addresses.loopback)
    api_names = [f"kubernetes{end}" for end in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    api_hosts = (host, loopback, "127.0.0.1", "localhost", str(addresses.api_service), *api_names)
    metrics_names = [f"metrics-server.kube-system{end}" for end in ("", ".svc", ".svc.cluster.local")]
    result = [
        Identity("etcd-server", "etcd-ca", "etcd", hosts=(loopback,)),
        Identity("etcd-client", "etcd-ca", "kube-apiserver"),
        Identity("apiserver", "cluster-ca", "kube-apiserver", hosts=api_hosts, client=False),
        Identity("apiserver-kubelet-client", "cluster-ca", "kube-apiserver-kubelet-client"),
        Identity("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
        Identity("admin", "cluster-ca", "groundplan-admin", groups=("system:masters",)),
        Identity(
            "controller-manager",
            "cluster-ca",
            "system:kube-controller-manager",
            hosts=(loopback, "localhost"),
        ),
        Identity("scheduler", "cluster-ca", "system:kube-scheduler", hosts=(loopback, "localhost")),
        Identity("proxy", "cluster-ca", "system:kube-proxy"),
        Identity("network-policy", "cluster-ca", "groundplan:network-policy"),
        Identity("volume-provisioner", "cluster-ca", "groundplan:volume-provisioner"),
        Identity("metrics-server", "cluster-ca", "metrics-server", hosts=tuple(metrics_names), client=False),
    ]
    for number in workers:
        node = f"worker-{number}"
        result.append(
            Identity(f"kubelet-{node}", "cluster-ca", f"system:node:{node}", groups=("system:nodes",))
        )
        result.append(
            Identity(
                f"kubelet-{node}-server",
                "cluster-ca",
                f"system:node:{node}",
                groups=("system:nodes",),
                hosts=(node, str(addresses.worker(number))),
                client=False,
            )
        )
    return result


def _hosts_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    # Kubernetes reads service-account keys of elliptic curves in this form only.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _public_text(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks may differ a little after a restart
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(pki: Pki, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"groundplan {name}")])
    certificate = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _store(pki, name, key, certificate)


def _issue(pki: Pki, identity: Identity) -> None:
    issuer = x509.load_pem_x509_certificate(pki.certificate(identity.authority).read_bytes())
    issuer_key = serialization.load_pem_private_key(pki.key(identity.authority).read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name))
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] if identity.client else []
    if identity.hosts:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(x509.Name(attributes), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if identity.hosts:
        names = [_general_name(host) for host in identity.hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _store(pki, identity.name, key, builder.sign(issuer_key, hashes.SHA256()))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(IPv4Address(host))
    except ValueError:
        return x509.DNSName(host)


def _store(pki: Pki, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    # The key goes first: a pair that was cut in two by a kill is recognised by keys that don't match.
    write_atomically(pki.key(name), _key_text(key))
    write_atomically(pki.certificate(name), certificate.public_bytes(serialization.Encoding.PEM).decode())
    os.chmod(pki.key(name), 0o600)  # noqa: PTH101 - stated once more for a key that was there before
