"""Certificates made for a test, and a proxy that shows them."""
import datetime
import ipaddress
import pathlib
import ssl
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from relay import Relay


def make_certificate(directory, name, subject, issuer=None, hosts=("localhost",), days=365, authority=False):
    """Gives the files of a certificate and its key in a directory, and both for issuing others."""
    key = rsa.generate_private_key(65537, 2048)
    name_of = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name_of(subject))
               .issuer_name(issuer[2].subject if issuer else name_of(subject)).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=30))
               .not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
    names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer[3] if issuer else key, hashes.SHA256())
    files = str(directory / f"{name}.pem"), str(directory / f"{name}.key")
    pathlib.Path(files[0]).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pathlib.Path(files[1]).write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                         serialization.NoEncryption()))
    return files[0], files[1], certificate, key


class TlsProxy(Relay):
    """Speaks TLS to the client and plain TCP to the broker; keeps the tokens it sees, those of handshakes also apart."""

    def __init__(self, to, certificate, client_ca=None, protocol=None):
        self.tokens = []
        self.handshakes = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate[0], certificate[1])
        if protocol:  # an old one, on purpose
            warnings.simplefilter("ignore", DeprecationWarning)
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = protocol
            self.context.set_ciphers("DEFAULT@SECLEVEL=0")
        if client_ca:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        super().__init__(to)
        self.url = f"wss://localhost:{self.port}"

    def greet(self, raw):
        client = self.context.wrap_socket(raw, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                raise OSError("it went")
            head += piece
        lines = head.decode().split("\r\n")
        tokens = [line.split(" ", 2)[2] for line in lines if line.startswith("Authorization:")]
        self.tokens += tokens
        self.handshakes += tokens if lines[0].startswith("GET /ws/") else []
        return client, head
