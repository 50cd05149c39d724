"""Whether a signer is the peer: which of the certificates that a person pinned for that peer vouches for the signer's.

And whether who stamped a time is an authority for that: the certificates that a person trusts, or the chain from one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.errors import PackageError
from gateway.package.certificates import Certificate, fingerprint, valid_at

__all__ = ["stamped_by", "vouched_by"]

_CHAIN = 4  # intermediates between an authority that is trusted and the certificate that stamps


def vouched_by(certificate: Certificate, trusted: Sequence[Certificate], *, at: datetime) -> Certificate:
    """The pinned certificate that vouches for ``certificate`` at ``at``: the same one, or the authority that issued it directly.

    Danger: pinning an authority lets *everyone* it certifies speak as the peer. Pin one only where it issues for this peer alone.

    Raises PackageError ``signer-certificate-unfit`` (not made for signing, or with a critical extension nobody here understands),
    ``signer-unknown`` or ``signer-certificate-time``.
    """
    # 1. made for signing, and nothing critical in it that we would pass over
    _fit_to_sign(certificate)
    # 2. pinned itself, or issued by a pinned authority
    pinned = next((each for each in trusted if each == certificate), None) or _issuer(certificate, trusted, at)
    if pinned is None:
        raise PackageError("signer-unknown", key_id=fingerprint(certificate))
    # 3. valid when it signed
    if not valid_at(certificate, at):
        raise PackageError(
            "signer-certificate-time",
            key_id=fingerprint(certificate),
            at=at.isoformat(),
            start=certificate.not_valid_before_utc.isoformat(),
            stop=certificate.not_valid_after_utc.isoformat(),
        )
    return pinned


def stamped_by(
    certificate: Certificate, others: Sequence[Certificate], authorities: Sequence[Certificate], *, at: datetime
) -> Certificate:
    """The trusted certificate that vouches for a stamping ``certificate`` at ``at``: itself, or the root of a chain through ``others``.

    RFC 3161 §2.3: it is marked, critically, for time-stamping and for nothing else. Raises PackageError ``token-signer`` (not so, or not
    valid then) or ``token-authority-unknown``.
    """
    # 1. for time-stamping, and for nothing else
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (ValueError, x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType) as error:
        raise PackageError("token-signer", key_id=fingerprint(certificate)) from error
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING] or not valid_at(certificate, at):
        raise PackageError("token-signer", key_id=fingerprint(certificate))
    _fit_to_sign(certificate, "token-signer")
    # 2. trusted itself, or by a chain that was valid then
    if certificate in authorities:
        return certificate
    for authority in authorities:
        builder = PolicyBuilder().store(Store([authority])).time(at).max_chain_depth(_CHAIN)
        verifier = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=_SIGNER).build_client_verifier()
        try:
            verifier.verify(certificate, list(others))
        except VerificationError:
            continue
        return authority
    raise PackageError("token-authority-unknown", key_id=fingerprint(certificate))


def _fit_to_sign(certificate: Certificate, code: str = "signer-certificate-unfit") -> None:
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise PackageError(code, key_id=fingerprint(certificate)) from error
    usages = [each.value for each in extensions if isinstance(each.value, x509.KeyUsage)]
    may_sign = all(usage.digital_signature or usage.content_commitment for usage in usages)
    if not may_sign or _has_unknown_critical(certificate):
        raise PackageError(code, key_id=fingerprint(certificate))


def _has_unknown_critical(certificate: Certificate) -> bool:
    return any(each.critical and isinstance(each.value, x509.UnrecognizedExtension) for each in certificate.extensions)


def _issuer(certificate: Certificate, trusted: Sequence[Certificate], at: datetime) -> Certificate | None:
    """The pinned authority, itself valid at ``at``. No intermediates: an authority further up is not one that was pinned.

    A leaf outside its own validity is looked up at the nearest instant inside it, so that the caller can say that *time* is wrong.
    """
    within = min(max(at, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
    for authority in trusted:
        builder = PolicyBuilder().store(Store([authority])).time(within).max_chain_depth(0)
        verifier = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=_SIGNER).build_client_verifier()
        try:
            verifier.verify(certificate, [])
        except VerificationError:
            continue
        return authority
    return None


def _is_authority(_policy: Policy, certificate: Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca or _has_unknown_critical(certificate):
        raise ValueError("not an authority")


def _may_certify(_policy: Policy, _certificate: Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("may not certify")


def _is_no_authority(_policy: Policy, _certificate: Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("an authority")


# The web's profile for leaves (a host name, an extended key usage) is not that of signers of documents; authorities of
# government intranets often mark nothing critical.
_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_certify)
)
_SIGNER = ExtensionPolicy.permit_all().may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_no_authority)
