//! What those need who do not see a page, or use the keyboard alone.

use std::collections::{BTreeMap, HashSet};

use scraper::ElementRef;

use super::{
    gallery::gallery,
    reader::{Page, label_of, words},
};
use crate::support::{Backend, Server};

/// Whether it is hidden from everybody, until a script shows it.
fn is_hidden(element: ElementRef<'_>) -> bool {
    let around = element.ancestors().filter_map(ElementRef::wrap);
    element.attr("hidden").is_some() || around.into_iter().any(|e| e.attr("hidden").is_some())
}

/// What is wrong with a page.
fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(what);
    if !page.answer.text.starts_with("<!DOCTYPE html>") {
        fault("it has no doctype".to_owned());
    }
    for error in &page.html.errors {
        fault(format!("it is no HTML: {error}"));
    }
    let root = page.all("html")[0];
    if root.attr("lang") != Some("en") {
        fault("it has no language".to_owned());
    }
    let titles = page.texts("head > title");
    if titles.len() != 1 || titles[0].is_empty() {
        fault(format!("titles {titles:?}"));
    }
    if page.all("main").len() != 1 {
        fault("it has not one main part".to_owned());
    }
    let skip = page.all("a.skip");
    let target = skip
        .first()
        .and_then(|skip| skip.attr("href"))
        .unwrap_or("#nothing");
    if page.all(&format!("[id='{}']", &target[1..])).len() != 1 {
        fault(format!("the skip link leads to {target}"));
    }
    // Headings: one of the first kind, and none that leaves a step out.
    let headings = page.all("h1, h2, h3, h4, h5, h6");
    let levels: Vec<u8> = headings
        .iter()
        .map(|h| h.value().name().as_bytes()[1] - b'0')
        .collect();
    if page.all("h1").len() != 1 {
        fault(format!("headings {levels:?}"));
    }
    if levels.windows(2).any(|pair| pair[1] > pair[0] + 1) {
        fault(format!("headings out of order {levels:?}"));
    }
    if headings.iter().any(|heading| words(*heading).is_empty()) {
        fault("a heading without words".to_owned());
    }
    let mut seen = HashSet::new();
    for element in page.all("[id]") {
        let id = element.attr("id").unwrap();
        if id.is_empty() || !seen.insert(id) {
            fault(format!("the id {id:?} is two"));
        }
    }
    for element in page.all("[aria-labelledby], [for], [data-copy], [data-show]") {
        for name in ["aria-labelledby", "for", "data-copy", "data-show"] {
            for id in element.attr(name).unwrap_or_default().split_whitespace() {
                if !seen.contains(id) {
                    fault(format!("{name} names {id}, which is not there"));
                }
            }
        }
    }
    for control in page.all("input, select, textarea") {
        if control.attr("type") == Some("hidden") || is_hidden(control) {
            continue;
        }
        let name = control.attr("name").unwrap_or_default();
        let id = control.attr("id").unwrap_or_default();
        if id.is_empty() || page.all(&format!("label[for='{id}']")).len() != 1 {
            fault(format!("{name} ({id}) has no <label for>"));
        }
        if label_of(&page.html, control).is_empty() {
            fault(format!("{name} ({id}) has a label without words"));
        }
        let described = control.attr("aria-describedby").unwrap_or_default();
        if control.attr("aria-invalid") == Some("true")
            && !described.split_whitespace().any(|id| seen.contains(id))
        {
            fault(format!("{name} ({id}) is wrong, and nothing says how"));
        }
    }
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for radio in page.all("input[type=radio]") {
        let fieldsets = radio.ancestors().filter_map(ElementRef::wrap);
        let grouped = fieldsets
            .into_iter()
            .any(|e| e.value().name() == "fieldset");
        if !grouped {
            fault(format!(
                "the radio button {:?} is in no group",
                radio.attr("id")
            ));
        }
        let checked = usize::from(radio.attr("checked").is_some());
        *groups
            .entry(radio.attr("name").unwrap_or_default())
            .or_default() += checked;
    }
    for (name, checked) in groups {
        if checked > 1 {
            fault(format!("{checked} of {name} are chosen"));
        }
    }
    for fieldset in page.all("fieldset") {
        let first = fieldset.child_elements().next();
        if first.is_none_or(|first| first.value().name() != "legend" || words(first).is_empty()) {
            fault("a fieldset without a legend".to_owned());
        }
    }
    for button in page.all("button, a[href], summary") {
        let named = button.attr("aria-label").unwrap_or_default();
        if words(button).is_empty() && named.is_empty() {
            fault(format!("nothing says what {} does", button.html()));
        }
        if button.value().name() == "button" && button.attr("type").is_none() {
            fault(format!("a button without a type: {}", words(button)));
        }
    }
    for word in page.texts("button, a.button") {
        if ["OK", "Submit", "Yes", "No", "Are you sure?"].contains(&&*word) {
            fault(format!("a button says {word}"));
        }
    }
    for dialog in page.all("dialog") {
        if dialog.attr("aria-labelledby").is_none() {
            fault("a dialog without a name".to_owned());
        }
    }
    for table in page.all("table") {
        let first = table.child_elements().next().map(|e| e.value().name());
        if first != Some("caption") {
            fault("a table without a caption".to_owned());
        }
    }
    for head in page.all("th") {
        if head.attr("scope").is_none() {
            fault("a head of a table without scope".to_owned());
        }
    }
    for time in page.all("time") {
        let exact = time.attr("datetime").unwrap_or_default();
        if time.attr("title") != Some(exact) || !exact.ends_with('Z') {
            fault(format!("a time without its zone: {}", time.html()));
        }
    }
    for image in page.all("img") {
        if image.attr("alt").is_none() {
            fault("an image without words".to_owned());
        }
    }
    for element in page.all("[tabindex]") {
        if !["0", "-1"].contains(&element.attr("tabindex").unwrap()) {
            fault("an order of its own for the keyboard".to_owned());
        }
    }
    let focus = page.all("[autofocus]");
    if focus.len() > 1 {
        fault("the focus goes to two places".to_owned());
    }
    // Where the first thing is that is wrong, the focus goes.
    if let Some(wrong) = page.all("[aria-invalid=true]").first()
        && focus.first().and_then(|focus| focus.attr("id")) != wrong.attr("id")
    {
        fault(format!("{:?} is wrong, and has no focus", wrong.attr("id")));
    }
    if page.status() >= 400 && page.text().contains("invalid input") {
        fault("nobody reads that".to_owned());
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_for_whoever_does_not_see_it() {
    // H1, H3, H6
    let server = Server::start(Backend::Sqlite).await;
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in gallery(&server).await {
        for fault in faults(&page) {
            let at = format!("{} {}", page.status(), page.path);
            all.entry(fault).or_default().push(at);
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}
