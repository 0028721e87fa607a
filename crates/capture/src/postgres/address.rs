//! Where a server is and who we are there: the part of libpq's connection URLs that capture needs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One place at which a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By network.
    Tcp {
        /// Name or address.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Through a socket of this machine.
    Unix {
        /// The folder of the socket.
        folder: PathBuf,
        /// The port in the socket's name.
        port: u16,
    },
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Unix { folder, port } => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// How a connection is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// The server has to show a certificate of a trusted authority with its name. Sockets of this
    /// machine and loopback addresses go without.
    #[default]
    VerifyFull,
    /// No TLS, as was asked for by name.
    Disable,
}

/// Where a server is and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Tried in order: behind a failover another one answers.
    pub hosts: Vec<Host>,
    /// The role.
    pub user: String,
    /// The database, for assertions; replication needs none.
    pub database: Option<String>,
    /// TLS.
    pub tls: Tls,
    /// Certificates that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let rest = ["postgresql://", "postgres://"].iter().find_map(|it| url.strip_prefix(it));
        let rest = rest.ok_or("a URL of PostgreSQL begins with postgresql://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(
                "a password does not belong in a URL, which is copied into configurations \
                        and tickets: put it into a file of its own (password_file)"
                    .to_owned(),
            );
        }
        let mut address = Self {
            hosts: Vec::new(),
            user: decode(user)?,
            database: Some(decode(database)?).filter(|name| !name.is_empty()),
            tls: Tls::default(),
            ca_file: None,
        };
        let mut names: Vec<String> = Vec::new();
        let mut ports: Vec<u16> = Vec::new();
        for one in hosts.split(',').filter(|one| !one.is_empty()) {
            let (name, port) = split_port(one)?;
            names.push(decode(name)?);
            ports.extend(port);
        }
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decode(value)?;
            match key {
                "host" => names = value.split(',').map(str::to_owned).collect(),
                "port" => {
                    let ports_of = value.split(',').map(parse_port).collect::<Result<_, _>>();
                    ports = ports_of?;
                }
                "user" => address.user = value,
                "dbname" => address.database = Some(value),
                "sslrootcert" => address.ca_file = Some(value.into()),
                "sslmode" => address.tls = tls(&value)?,
                _ => return Err(format!("`{key}` in the URL is not known here")),
            }
        }
        address.hosts = hosts_of(names, &ports)?;
        if address.user.is_empty() {
            return Err("the URL names no role: postgresql://ROLE@HOST".to_owned());
        }
        Ok(address)
    }
}

fn tls(mode: &str) -> Result<Tls, String> {
    match mode {
        "verify-full" | "require" | "verify-ca" => Ok(Tls::VerifyFull),
        "disable" => Ok(Tls::Disable),
        // "prefer" would go on in the clear if somebody on the way asks for it.
        _ => Err(format!("sslmode={mode}: here it is `verify-full` (the default) or `disable`")),
    }
}

fn hosts_of(names: Vec<String>, ports: &[u16]) -> Result<Vec<Host>, String> {
    let names = if names.is_empty() { vec!["/var/run/postgresql".to_owned()] } else { names };
    if ports.len() > 1 && ports.len() != names.len() {
        return Err("the URL names another number of ports than of hosts".to_owned());
    }
    let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
    let host = |(at, name): (usize, String)| match name.starts_with('/') {
        true => Host::Unix { folder: name.into(), port: port(at) },
        false => Host::Tcp { name, port: port(at) },
    };
    Ok(names.into_iter().enumerate().map(host).collect())
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']').ok_or("an address lacks its `]`")?;
        let port = rest.strip_prefix(':').map(parse_port).transpose()?;
        return Ok((name, port));
    }
    match text.rsplit_once(':') {
        Some((name, port)) => Ok((name, Some(parse_port(port)?))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is no port"))
}

/// Undoes `%41`.
fn decode(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` in the URL is badly escaped");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(bad());
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| bad())?);
    }
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    // A zero would end a parameter of the protocol early.
    if text.contains('\0') { Err(bad()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        url.parse()
    }

    #[test]
    fn several_hosts_ports_and_sockets_are_understood() {
        let two = parse("postgresql://keeper@db1:5433,db2/orders").unwrap();
        assert_eq!(two.user, "keeper");
        assert_eq!(two.database.as_deref(), Some("orders"));
        assert_eq!(two.hosts.len(), 2);
        assert_eq!(two.hosts[0].to_string(), "db1:5433");
        let socket =
            parse("postgres:///?host=%2Frun%2Fpg&port=7000&user=k&sslmode=disable").unwrap();
        assert_eq!(socket.hosts, [Host::Unix { folder: "/run/pg".into(), port: 7000 }]);
        assert_eq!(socket.tls, Tls::Disable);
        assert_eq!(parse("postgresql://k@[::1]:7/").unwrap().hosts[0].to_string(), "[::1]:7");
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let refused = parse("postgresql://keeper:hunter2@db/orders").unwrap_err();
        assert!(refused.contains("password_file"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn what_would_weaken_the_connection_or_cannot_be_is_refused() {
        for wrong in [
            "mysql://x@y",
            "postgresql://db/orders",
            "postgresql://k@db?sslmode=prefer",
            "postgresql://k@db:port",
            "postgresql://k@db?sslkey=x",
            "postgresql://k%0@db",
            "postgresql://k%00@db",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
