//! Certificates for loopback; each test makes its own.

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Certificate {
    pub pem: String,
    pub key: String,
}

/// A certificate authority. A program with its `pem` in `SSL_CERT_FILE` trusts what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "linkbot's test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A valid certificate for `localhost` and 127.0.0.1.
    pub fn certificate(&self) -> Certificate {
        self.sign(loopback())
    }

    /// A certificate that was valid until 2001.
    pub fn expired(&self) -> Certificate {
        let mut params = loopback();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    /// A certificate that is not valid before 2100.
    pub fn future(&self) -> Certificate {
        let mut params = loopback();
        params.not_before = date_time_ymd(2100, 1, 1);
        params.not_after = date_time_ymd(2101, 1, 1);
        self.sign(params)
    }

    /// A certificate for another host.
    pub fn misnamed(&self) -> Certificate {
        self.sign(CertificateParams::new(["irc.example.org".to_owned()]).unwrap())
    }

    fn sign(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate { pem, key: key.serialize_pem() }
    }
}

/// A self-signed certificate for loopback.
pub fn self_signed() -> Certificate {
    let key = KeyPair::generate().unwrap();
    let pem = loopback().self_signed(&key).unwrap().pem();
    Certificate { pem, key: key.serialize_pem() }
}

fn loopback() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

/// The server's side of TLS with this certificate.
pub fn acceptor(certificate: &Certificate) -> SslAcceptor {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&X509::from_pem(certificate.pem.as_bytes()).unwrap()).unwrap();
    acceptor
        .set_private_key(&PKey::private_key_from_pem(certificate.key.as_bytes()).unwrap())
        .unwrap();
    acceptor.build()
}
