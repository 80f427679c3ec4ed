//! Numbers, addresses and times among the words of a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Cursor, Failure, Taken, refused};
use crate::config::ast::primitive::{Subnet, netmask};
use crate::config::diagnostic::Diagnostic;
use crate::config::source::{Span, Spanned};

impl Cursor<'_> {
    /// A whole number in a range.
    pub fn take_number(
        &mut self,
        expected: &'static str,
        low: u32,
        high: u32,
    ) -> Taken<Spanned<u32>> {
        let token = self.take(expected)?;
        match token.text.parse::<u32>() {
            Ok(value) if (low..=high).contains(&value) => Ok(Spanned::new(value, token.span)),
            _ => {
                let message = format!("`{}` is not {expected} from {low} to {high}", token.text);
                Err(refused("E0105", token.span, message))
            }
        }
    }

    /// An address of either family.
    pub fn take_address(&mut self) -> Taken<Spanned<IpAddr>> {
        let token = self.take("an address")?;
        match token.text.parse() {
            Ok(address) => Ok(Spanned::new(address, token.span)),
            Err(_) => Err(refused(
                "E0106",
                token.span,
                format!("`{}` is not an address", token.text),
            )),
        }
    }

    /// An IPv4 address.
    pub fn take_ipv4(&mut self) -> Taken<Spanned<Ipv4Addr>> {
        let token = self.take("an IPv4 address")?;
        match token.text.parse() {
            Ok(address) => Ok(Spanned::new(address, token.span)),
            Err(_) => Err(refused(
                "E0106",
                token.span,
                format!("`{}` is not an IPv4 address", token.text),
            )),
        }
    }

    /// A netmask, as a prefix length.
    pub fn take_mask(&mut self) -> Taken<Spanned<u8>> {
        let mask = self.take_ipv4()?;
        let bits = mask.to_bits();
        if bits.leading_ones() + bits.trailing_zeros() >= 32 {
            return Ok(Spanned::new(bits.leading_ones() as u8, mask.span));
        }
        let not_a_mask =
            Diagnostic::error("E0107", mask.span, format!("`{}` is not a netmask", *mask));
        let inverse = !bits;
        let help = if inverse.leading_ones() + inverse.trailing_zeros() >= 32 {
            format!(
                "this looks like a wildcard; write the netmask {}",
                Ipv4Addr::from_bits(inverse)
            )
        } else {
            "the ones of a netmask must stand together on the left".to_owned()
        };
        Err(not_a_mask.with_help(help).into())
    }

    /// `NET MASK` or `V6/len`, aligned.
    pub fn take_subnet(&mut self) -> Taken<Spanned<Subnet>> {
        let token = self.peek().ok_or(Failure::Incomplete("a network"))?;
        if token.text.contains(':') {
            let (address, prefix, span) = self.take_ipv6_prefix()?;
            return aligned_v6(address, prefix, span);
        }
        let network = self.take_ipv4()?;
        let prefix = self.take_mask()?;
        let span = network.span.to(prefix.span);
        let mask = netmask(*prefix);
        if network.to_bits() & !mask.to_bits() != 0 {
            let base = Ipv4Addr::from_bits(network.to_bits() & mask.to_bits());
            let message = format!(
                "address and mask do not pair: {} is not the first address",
                *network
            );
            let help = format!(
                "write `{base} {mask}` for the network, or `host {}` for the host",
                *network
            );
            return Err(Diagnostic::error("E0108", span, message)
                .with_help(help)
                .into());
        }
        Ok(Spanned::new(Subnet::V4(*network, *prefix), span))
    }

    /// `X:Y/len`, host bits allowed.
    pub fn take_ipv6_prefix(&mut self) -> Taken<(Ipv6Addr, u8, Span)> {
        let token = self.take("an IPv6 prefix")?;
        let parsed = token.text.split_once('/').and_then(|(address, length)| {
            let length = length.parse::<u8>().ok().filter(|length| *length <= 128)?;
            Some((address.parse().ok()?, length))
        });
        match parsed {
            Some((address, length)) => Ok((address, length, token.span)),
            None => Err(refused(
                "E0106",
                token.span,
                format!("`{}` is not an IPv6 prefix", token.text),
            )),
        }
    }

    /// `H:M:S` (or `0`) as seconds.
    pub fn take_duration(&mut self) -> Taken<Spanned<u32>> {
        let token = self.take("a time as H:M:S")?;
        match duration(token.text) {
            Some(seconds) => Ok(Spanned::new(seconds, token.span)),
            None => Err(refused(
                "E0121",
                token.span,
                format!("`{}` is not a time as H:M:S", token.text),
            )),
        }
    }
}

fn aligned_v6(address: Ipv6Addr, prefix: u8, span: Span) -> Taken<Spanned<Subnet>> {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    if address.to_bits() & !mask != 0 {
        let base = Ipv6Addr::from_bits(address.to_bits() & mask);
        let message = format!("{address} is not the first address of a /{prefix}");
        return Err(Diagnostic::error("E0108", span, message)
            .with_help(format!("write `{base}/{prefix}`"))
            .into());
    }
    Ok(Spanned::new(Subnet::V6(address, prefix), span))
}

fn duration(text: &str) -> Option<u32> {
    if text == "0" {
        return Some(0);
    }
    let mut parts = text.split(':');
    let hours: u32 = parts.next()?.parse().ok().filter(|h| *h <= 1193)?;
    let minutes: u32 = parts.next()?.parse().ok().filter(|m| *m < 60)?;
    let seconds: u32 = parts.next()?.parse().ok().filter(|s| *s < 60)?;
    parts
        .next()
        .is_none()
        .then_some(hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lexer::lex;
    use crate::config::source::Source;

    fn with<T>(text: &str, take: impl FnOnce(&mut Cursor) -> Taken<T>) -> Result<T, String> {
        let source = Source::new(text);
        let lines = lex(text, &mut Vec::new());
        let mut cursor = Cursor::new(&source, &lines[0].tokens);
        take(&mut cursor).map_err(|failure| match failure {
            Failure::Refused(diagnostic) => diagnostic.code.to_owned(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn a_wildcard_in_place_of_a_netmask_is_named() {
        assert_eq!(with("255.255.255.0", |c| c.take_mask()).map(|m| *m), Ok(24));
        assert_eq!(with("0.0.0.0", |c| c.take_mask()).map(|m| *m), Ok(0));
        assert_eq!(
            with("0.0.0.255", |c| c.take_mask()),
            Err("E0107".to_owned())
        );
        assert_eq!(
            with("255.0.255.0", |c| c.take_mask()),
            Err("E0107".to_owned())
        );
    }

    #[test]
    fn host_bits_in_a_network_are_refused() {
        assert_eq!(
            with("10.0.0.1 255.255.255.0", |c| c.take_subnet()).unwrap_err(),
            "E0108"
        );
        assert_eq!(
            with("2001:db8::1/64", |c| c.take_subnet()).unwrap_err(),
            "E0108"
        );
        assert!(with("2001:db8::/64", |c| c.take_subnet()).is_ok());
        assert!(with("0.0.0.0 0.0.0.0", |c| c.take_subnet()).is_ok());
    }

    #[test]
    fn durations_are_hours_minutes_and_seconds() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("0:00:30", Some(30)),
            ("1193:0:0", Some(4_294_800)),
            ("0:60:0", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
        assert_eq!(duration("1:2"), None);
        assert_eq!(duration("1:2:3:4"), None);
        assert_eq!(duration("99999:0:0"), None);
    }
}
