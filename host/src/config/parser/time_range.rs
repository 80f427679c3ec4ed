//! `time-range` and its sub-mode.

use super::{Handler, Mode, Parser};
use crate::config::ast::access_list::{Absolute, Instant, Periodic, TimeOfDay, TimeRange};
use crate::config::cursor::{Cursor, Failure, Keywords, MAX_NAME, Taken, refused};
use crate::config::source::Spanned;

/// Commands of the sub-mode.
pub const COMMANDS: Keywords<'static, Handler> = &[("absolute", absolute), ("periodic", periodic)];

/// `time-range NAME`.
pub fn time_range(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    if c.is_negated {
        if !super::remove_named(&mut p.config.time_ranges, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let ranges = &mut p.config.time_ranges;
    let index = ranges
        .iter()
        .position(|range| range.name == name)
        .unwrap_or_else(|| {
            ranges.push(TimeRange {
                name,
                absolute: None,
                periodic: Vec::new(),
            });
            ranges.len() - 1
        });
    Ok(Mode::TimeRange(index))
}

fn absolute(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let mut absolute = Absolute {
        start: None,
        end: None,
    };
    while let Some(word) = c.take_optional(&[("start", true), ("end", false)])? {
        let instant = take_instant(c)?;
        if word.node {
            absolute.start = Some(instant);
        } else {
            absolute.end = Some(instant);
        }
    }
    c.end()?;
    if absolute.start.is_none() && absolute.end.is_none() && !c.is_negated {
        return Err(Failure::Incomplete("start or end"));
    }
    if let (Some(start), Some(end)) = (absolute.start, absolute.end)
        && start >= end
    {
        return Err(refused(
            "E0109",
            c.span(),
            "the time range ends before it starts",
        ));
    }
    if let Mode::TimeRange(index) = p.mode
        && let Some(range) = p.config.time_ranges.get_mut(index)
    {
        range.absolute = (!c.is_negated).then(|| Spanned::new(absolute, c.span()));
    }
    Ok(p.mode)
}

const MONTHS: [(&str, u8); 12] = [
    ("January", 1),
    ("February", 2),
    ("March", 3),
    ("April", 4),
    ("May", 5),
    ("June", 6),
    ("July", 7),
    ("August", 8),
    ("September", 9),
    ("October", 10),
    ("November", 11),
    ("December", 12),
];

/// The name of a month from 1.
pub fn month_name(month: u8) -> &'static str {
    MONTHS
        .iter()
        .find(|(_, number)| *number == month)
        .map_or("January", |(name, _)| name)
}

fn take_instant(c: &mut Cursor) -> Taken<Instant> {
    let time = take_time(c)?;
    let day = c.take_number("a day", 1, 31)?;
    let month = c.take_keyword("a month", &MONTHS)?;
    let year = c.take_number("a year", 1993, 2035)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day.node > last {
        let message = format!(
            "{} {} has no day {}",
            month_name(month),
            year.node,
            day.node
        );
        return Err(refused("E0121", day.span, message));
    }
    Ok(Instant {
        year: year.node as u16,
        month,
        day: day.node as u8,
        time,
    })
}

fn take_time(c: &mut Cursor) -> Taken<TimeOfDay> {
    let token = c.take("a time as HH:MM")?;
    let parsed = token.text.split_once(':').and_then(|(hour, minute)| {
        let hour = hour.parse().ok().filter(|hour| *hour < 24)?;
        let minute = minute.parse().ok().filter(|minute| *minute < 60)?;
        Some(TimeOfDay { hour, minute })
    });
    parsed.ok_or_else(|| {
        refused(
            "E0121",
            token.span,
            format!("`{}` is not a time as HH:MM", token.text),
        )
    })
}

/// Words for days: bit 0 is Monday.
pub const DAYS: [(&str, u8); 10] = [
    ("Monday", 1),
    ("Tuesday", 2),
    ("Wednesday", 4),
    ("Thursday", 8),
    ("Friday", 16),
    ("Saturday", 32),
    ("Sunday", 64),
    ("weekdays", 31),
    ("weekend", 96),
    ("daily", 127),
];

fn periodic(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let mut days = c.take_keyword("a day", &DAYS)?;
    while let Some(day) = c.take_optional(&DAYS)? {
        days |= day.node;
    }
    let from = take_time(c)?;
    c.expect("to")?;
    let until_day = c
        .take_optional(&DAYS[..7])?
        .map(|day| day.node.trailing_zeros() as u8);
    let until = take_time(c)?;
    c.end()?;
    let line = Spanned::new(
        Periodic {
            days,
            from,
            until_day,
            until,
        },
        c.span(),
    );
    let Mode::TimeRange(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(range) = p.config.time_ranges.get_mut(index) else {
        return Ok(p.mode);
    };
    if !c.is_negated {
        if !range.periodic.contains(&line) {
            range.periodic.push(line);
        }
    } else if !super::remove_equal(&mut range.periodic, &line) {
        p.nothing_to_remove(c);
    }
    Ok(p.mode)
}
