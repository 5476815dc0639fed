//! The grammar of UDUNITS-2 (its manual, "Unit grammar"), without logarithms and time origins:
//!
//! ```text
//!  product  power ( [ "." | "*" | "/" | "per" | " " ] power )*
//!  power    basic [ "^" | "**" ] [ integer ]
//!  basic    number | name | "(" product ")"
//! ```

use super::{Unit, names};

/// Brackets within brackets; no file has as many.
const DEEPEST: usize = 8;

/// The unit that `text` spells; `None` if it spells none.
pub(super) fn unit(text: &str) -> Option<Unit> {
    let text = text.trim();
    if let Some(found) = names::phrase(text) {
        return Some(found);
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let unit = parser.product()?;
    (parser.rest.is_empty() && unit.scale.is_normal()).then_some(unit)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn product(&mut self) -> Option<Unit> {
        self.depth += 1;
        let mut product = (self.depth <= DEEPEST).then(|| self.power())??;
        loop {
            self.spaces();
            let divide = self.takes("/") || self.takes_word("per");
            if !divide && (self.rest.is_empty() || self.rest.starts_with(')')) {
                break;
            }
            let times = !divide && (self.takes(".") || self.takes("*") || self.takes("·"));
            if divide || times {
                self.spaces();
            }
            let factor = self.power()?;
            product = product.times(factor.power(if divide { -1 } else { 1 })?)?;
        }
        self.depth -= 1;
        Some(product)
    }

    fn power(&mut self) -> Option<Unit> {
        let (basic, is_number) = self.basic()?;
        let marked = self.takes("**") || self.takes("^");
        match self.exponent() {
            Some(exponent) => basic.power(exponent),
            // A number takes no exponent but a marked one: 10 m is ten metres.
            None if marked => None,
            None if !is_number && self.rest.starts_with(['+', '-', '⁻']) => None,
            None => Some(basic),
        }
    }

    /// A basic unit, and whether it is a number.
    fn basic(&mut self) -> Option<(Unit, bool)> {
        if self.takes("(") {
            self.spaces();
            let product = self.product()?;
            self.spaces();
            return self.takes(")").then_some((product, false));
        }
        if let Some(number) = self.number() {
            return Some((Unit::number(number), true));
        }
        let is_name =
            |c: char| c.is_alphabetic() || matches!(c, '_' | '%' | '°' | 'º' | '‰' | '\'');
        let length = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        let unit = names::name(name)?;
        self.rest = rest;
        Some((unit, false))
    }

    /// A positive decimal number.
    fn number(&mut self) -> Option<f64> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let bytes = self.rest.as_bytes();
        let mut length = digits(self.rest);
        if bytes.get(length) == Some(&b'.') {
            let fraction = digits(self.rest.get(length + 1..)?);
            if fraction > 0 {
                length += 1 + fraction;
            }
        }
        if length == 0 {
            return None;
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(self.rest.get(length + 1 + sign..)?);
            if exponent > 0 {
                length += 1 + sign + exponent;
            }
        }
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        number.parse().ok()
    }

    /// A whole exponent, raised or not.
    fn exponent(&mut self) -> Option<i8> {
        let raised = |c: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|digit| digit == c);
        let mut digits = String::new();
        let mut end = 0;
        for (at, c) in self.rest.char_indices() {
            match (raised(c), c) {
                (Some(digit), _) => digits.push_str(&digit.to_string()),
                (None, '⁻' | '-') if digits.is_empty() => digits.push('-'),
                (None, '+') if digits.is_empty() => digits.push('+'),
                (None, '0'..='9') => digits.push(c),
                _ => break,
            }
            end = at + c.len_utf8();
        }
        let exponent = digits.parse().ok()?;
        self.rest = &self.rest[end..];
        Some(exponent)
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let rest = self.rest.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word));
        let rest = rest.and(self.rest.get(word.len()..)).filter(|rest| rest.starts_with(' '));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}
