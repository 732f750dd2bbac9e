import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from groundplan.cluster import pki as pki_module
from groundplan.cluster.addresses import Addresses
from groundplan.cluster.pki import Pki


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    made = Pki(tmp_path / "pki")
    made.ensure(Addresses(0), (1, 2))
    return made


def _certificate(pki: Pki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.certificate(name).read_bytes())


def test_every_key_is_readable_by_its_owner_alone(pki: Pki) -> None:
    assert stat.S_IMODE(pki.folder.stat().st_mode) == 0o700
    keys = list(pki.folder.glob("*.key"))
    assert len(keys) > 10
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_second_call_makes_nothing(pki: Pki) -> None:
    assert pki.ensure(Addresses(0), (1, 2)) == set()


def test_a_new_worker_gets_certificates_and_the_others_keep_theirs(pki: Pki) -> None:
    assert pki.ensure(Addresses(0), (1, 2, 3)) == {"kubelet-worker-3", "kubelet-worker-3-server"}


def test_a_pair_cut_in_two_is_made_anew(pki: Pki) -> None:
    pki.key("scheduler").write_bytes(pki.key("proxy").read_bytes())
    pki.certificate("admin").unlink()
    pki.certificate("proxy").write_text("half a cert")
    assert pki.ensure(Addresses(0), (1, 2)) == {"scheduler", "admin", "proxy"}


def test_a_lost_authority_takes_all_that_it_issued_with_it(pki: Pki) -> None:
    pki.key("etcd-ca").unlink()
    assert pki.ensure(Addresses(0), (1, 2)) == {"etcd-ca", "etcd-server", "etcd-client"}


def test_a_server_that_is_to_be_reached_elsewhere_gets_a_new_certificate(pki: Pki) -> None:
    made = pki.ensure(Addresses(1), (1, 2))
    assert {"apiserver", "etcd-server", "kubelet-worker-1-server"} <= made
    assert "admin" not in made


def test_a_certificate_that_is_about_to_expire_is_made_anew(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pki_module, "RENEW_BEFORE", timedelta(days=4000))
    assert "admin" in pki.ensure(Addresses(0), (1, 2))


def test_a_node_names_itself_as_the_node_authoriser_wants_it(pki: Pki) -> None:
    subject = _certificate(pki, "kubelet-worker-1").subject
    [common_name] = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    [group] = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert (common_name.value, group.value) == ("system:node:worker-1", "system:nodes")


def test_client_certificates_of_the_cluster_are_not_accepted_by_etcd(pki: Pki) -> None:
    admin = _certificate(pki, "admin")
    with pytest.raises(ValueError, match="Issuer"):
        admin.verify_directly_issued_by(_certificate(pki, "etcd-ca"))


def test_openssl_accepts_authority_and_pair(pki: Pki) -> None:
    trust = ssl.create_default_context(cafile=str(pki.certificate("cluster-ca")))
    trust.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
    assert trust.cert_store_stats()["x509_ca"] == 1
