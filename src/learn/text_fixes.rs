//! The remedies of an application, and the replay, for people.

use std::borrow::Cow;
use std::io::{self, Write};

use super::text::{Look, SHOWN, count, folded, hanging, len, more, thousands};
use super::{Group, Judgement, fixes};
use crate::report::{Format, escape};

/// The fixes of a group: a line each, its steps below.
pub(super) fn fixes(out: &mut dyn Write, group: &Group<'_>, look: Look) -> io::Result<()> {
    let all = fixes::fixes(group);
    let mut last = "";
    let mut nth = 0;
    for fix in &all {
        nth = if fix.remedy == last { nth + 1 } else { 1 };
        if nth == SHOWN * 2 + 1 {
            let same = all.iter().filter(|f| f.remedy == fix.remedy).count();
            more(out, "            ", same, SHOWN * 2, "of this kind; --format json has all")?;
        }
        if nth > SHOWN * 2 {
            continue;
        }
        let word = if fix.remedy == last { "" } else { fix.remedy };
        last = fix.remedy;
        let word = look.paint.good(&format!("{word:<9}"));
        let times = count(len(fix.denials), "denial", "denials");
        writeln!(out, "  {word} {}  {}", shown(&fix.what), look.paint.faint(&format!("({times})")))?;
        if !fix.note.is_empty() {
            writeln!(out, "            {}", escape(&fix.note))?;
        }
        for step in fix.steps.iter().take(SHOWN * 2) {
            writeln!(out, "            {} {}", arrow(look), shown(step))?;
        }
        more(out, "            ", fix.steps.len(), SHOWN * 2, "commands; --format json has all")?;
    }
    for by_hand in fixes::by_hand(group) {
        let (code, causes) = (by_hand.code, by_hand.causes);
        let head = format!("{}: {} ({})", code.id, code.summary, thousands(len(by_hand.denials)));
        writeln!(out, "  {}", look.paint.change(&head))?;
        for (cause, steps) in causes.iter().take(SHOWN) {
            writeln!(out, "    {}", folded(&escape(cause), 4, look.format))?;
            for step in steps.iter().take(SHOWN) {
                writeln!(out, "    {} {}", arrow(look), shown(step))?;
            }
        }
        more(out, "    ", causes.len(), SHOWN, "of this kind; perms why shows each")?;
    }
    let nothing = fixes::nothing(group);
    if nothing > 0 {
        writeln!(out, "  {} nothing: allowed by the policy today", count(len(nothing), "needs", "need"))?;
    }
    Ok(())
}

/// A text that may be pasted: plain ASCII as it is, backslashes and all; what else there is, escaped.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if plain { Cow::Borrowed(text) } else { Cow::Owned(escape(text)) }
}

fn arrow(look: Look) -> &'static str {
    if look.format == Format::Plain { "next:" } else { "→" }
}

/// How the denials fare with all remedies applied.
pub fn replay(out: &mut dyn Write, judgement: &Judgement, look: Look) -> io::Result<()> {
    let r = &judgement.replay;
    if r.asked == 0 {
        return Ok(());
    }
    if let Some(error) = &r.failed {
        return writeln!(
            out,
            "\nNothing was replayed: the policy with the rules cannot be made: {}",
            escape(error)
        );
    }
    let mut line = format!(
        "Replayed with all of this: {} of {} would be allowed",
        thousands(len(r.allowed)),
        count(len(r.asked), "distinct denial", "distinct denials")
    );
    let rest = [
        (r.silenced, "would be silent"),
        (r.moot, "would not be asked any more"),
        (r.remain.len(), "would stay denied"),
    ];
    for (n, what) in rest.into_iter().filter(|(n, _)| *n > 0) {
        line.push_str(&format!(", {} {what}", thousands(len(n))));
    }
    writeln!(out, "\n{}", look.paint.bold(&hanging(&line, 0, 2, look.format)))?;
    for (_, why) in r.remain.iter().take(SHOWN) {
        writeln!(out, "  {}", hanging(&escape(why), 2, 4, look.format))?;
    }
    more(out, "  ", r.remain.len(), SHOWN, "; perms why shows each")?;
    let Some(proofs) = &judgement.proofs else { return Ok(()) };
    let needed = proofs.iter().filter(|p| p.returns.is_some()).count();
    let kept = proofs.iter().filter(|p| p.returns.is_none() && p.kept).count();
    let idle: Vec<_> = proofs.iter().filter(|p| p.returns.is_none() && !p.kept).collect();
    match proofs.len() {
        0 => writeln!(out, "Proved: no rule is written, so none is too much")?,
        all => writeln!(
            out,
            "Proved: without {} of {} a denial returns",
            thousands(len(needed)),
            count(len(all), "permission", "permissions")
        )?,
    }
    let calls = &judgement.call_proofs;
    if !calls.is_empty() {
        let needed = calls.iter().filter(|p| p.returns.is_some()).count();
        let all = count(len(calls.len()), "interface", "interfaces");
        writeln!(out, "  and without {} of {all}", thousands(len(needed)))?;
    }
    if kept > 0 {
        writeln!(out, "  {} kept, which was there before", count(len(kept), "is", "are"))?;
    }
    for proof in idle.iter().take(SHOWN) {
        writeln!(out, "  {} {}", look.paint.bad("not needed:"), proof.text)?;
    }
    more(out, "  ", idle.len(), SHOWN, "are not needed")
}
