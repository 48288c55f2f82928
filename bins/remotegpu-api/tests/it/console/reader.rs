//! Reads pages as somebody does who looks at them or has them read aloud: by headings, labels
//! and the words on buttons.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html, Selector};

use crate::support::Answer;

/// An answer that is a page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it was asked for.
    pub path: String,
    pub answer: Answer,
    pub html: Html,
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Its words, with single blanks between them.
pub fn words(element: ElementRef<'_>) -> String {
    squeezed(&element.text().collect::<String>())
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Page {
    pub fn new(path: &str, answer: Answer) -> Self {
        let html = Html::parse_document(&answer.text);
        let path = path.to_owned();
        Self { path, answer, html }
    }

    pub fn status(&self) -> u16 {
        self.answer.status.as_u16()
    }

    /// This page, if its status is that.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}: {}", self.path, self.text());
        self
    }

    /// Where a 303 leads.
    #[track_caller]
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status(), 303, "{}: {}", self.path, self.text());
        assert_eq!(self.answer.text, "", "{}", self.path);
        self.answer.header("location").unwrap()
    }

    pub fn all(&self, css: &str) -> Vec<ElementRef<'_>> {
        self.html.select(&selector(css)).collect()
    }

    pub fn texts(&self, css: &str) -> Vec<String> {
        self.all(css).into_iter().map(words).collect()
    }

    /// Everything that it says.
    pub fn text(&self) -> String {
        self.texts("body").join(" ")
    }

    pub fn title(&self) -> String {
        self.texts("title").join("|")
    }

    #[track_caller]
    pub fn heading(&self) -> String {
        let found = self.texts("h1");
        assert_eq!(found.len(), 1, "{}: {found:?}", self.path);
        found.into_iter().next().unwrap()
    }

    #[track_caller]
    pub fn says(&self, what: &str) -> &Self {
        let text = self.text();
        assert!(text.contains(what), "{}: no {what:?} in {text}", self.path);
        self
    }

    #[track_caller]
    pub fn says_not(&self, what: &str) -> &Self {
        let text = self.text();
        assert!(!text.contains(what), "{}: {what:?} in {text}", self.path);
        self
    }

    /// What it says of what was done, and of why something was not.
    pub fn told(&self) -> Vec<String> {
        let mut told = self.texts("main [role=status]");
        told.extend(self.texts("main [role=alert]"));
        told
    }

    /// Refused, with this sentence, which stands where a screen reader says it at once.
    #[track_caller]
    pub fn refuses(&self, status: u16, sentence: &str) -> &Self {
        assert_eq!(self.status(), status, "{}: {}", self.path, self.text());
        let alerts = self.texts("main [role=alert]");
        let found = alerts.iter().any(|alert| alert.contains(sentence));
        assert!(found, "{}: no {sentence:?} in {alerts:?}", self.path);
        self
    }

    /// The sentence that stands at this field, which is marked as wrong (contract H3).
    #[track_caller]
    pub fn error_at(&self, label: &str) -> String {
        let field = self.labelled(label);
        let id = field.attr("id").unwrap_or_default();
        assert_eq!(field.attr("aria-invalid"), Some("true"), "{label}: {id}");
        let described = field.attr("aria-describedby").unwrap_or_default();
        let said = described
            .split_whitespace()
            .filter(|id| id.contains("error"))
            .filter_map(|id| self.all(&format!("[id='{id}']")).into_iter().next())
            .map(words);
        let said: Vec<String> = said.collect();
        assert!(!said.is_empty(), "{}: {label} is not described", self.path);
        said.join(" ")
    }

    /// The one control with this label.
    #[track_caller]
    pub fn labelled(&self, label: &str) -> ElementRef<'_> {
        let controls = self.all("input:not([type=hidden]), select, textarea");
        let mut fits = controls
            .into_iter()
            .filter(|control| label_of(&self.html, *control) == label);
        let found = fits.next();
        assert!(fits.next().is_none(), "{}: two are {label:?}", self.path);
        found.unwrap_or_else(|| panic!("{}: no field {label:?}: {}", self.path, self.text()))
    }

    pub fn has_field(&self, label: &str) -> bool {
        let controls = self.all("input:not([type=hidden]), select, textarea");
        let html = &self.html;
        controls
            .into_iter()
            .any(|control| label_of(html, control) == label)
    }

    /// What stands in the field with this label.
    #[track_caller]
    pub fn value(&self, label: &str) -> String {
        let control = self.labelled(label);
        if control.value().name() == "select" {
            let options: Vec<_> = control.select(&selector("option")).collect();
            let chosen = options.iter().position(|o| o.attr("selected").is_some());
            return words(options[chosen.unwrap_or(0)]);
        }
        control.attr("value").unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn is_ticked(&self, label: &str) -> bool {
        self.labelled(label).attr("checked").is_some()
    }

    pub fn has_button(&self, name: &str) -> bool {
        self.texts("button, a.button")
            .iter()
            .any(|text| text == name)
    }

    /// All forms with a button of this name.
    pub fn forms(&self, button: &str) -> Vec<Form> {
        self.all("form")
            .into_iter()
            .filter_map(|form| Form::read(self, form, button))
            .collect()
    }

    /// The one form with a button of this name; of a dialog, where such a button opens it.
    #[track_caller]
    pub fn form(&self, button: &str) -> Form {
        let mut forms = self.forms(button);
        if forms.len() > 1 {
            forms.retain(|form| form.method == "post");
        }
        let text = self.text();
        assert_eq!(forms.len(), 1, "{}: forms {button:?}: {text}", self.path);
        forms.remove(0)
    }

    /// Where the one link with these words leads.
    #[track_caller]
    pub fn link(&self, name: &str) -> String {
        let links = self.all("a[href]");
        let named: Vec<_> = links
            .into_iter()
            .filter(|link| words(*link) == name)
            .collect();
        assert_eq!(named.len(), 1, "{}: links {name:?}", self.path);
        named[0].attr("href").unwrap().to_owned()
    }

    pub fn has_link(&self, name: &str) -> bool {
        self.texts("a[href]").iter().any(|text| text == name)
    }

    /// The rows of its table, each by the names of the columns.
    pub fn rows(&self) -> Vec<BTreeMap<String, String>> {
        let cell = |cell: ElementRef<'_>| {
            let name = cell.attr("data-label").unwrap_or_default().to_owned();
            (name, words(cell))
        };
        self.all("tbody tr")
            .into_iter()
            .map(|row| row.select(&selector("td")).map(cell).collect())
            .collect()
    }

    /// The first column of its table.
    pub fn column(&self, name: &str) -> Vec<String> {
        self.rows()
            .into_iter()
            .map(|row| row[name].clone())
            .collect()
    }

    /// What stands beside a word in a list of facts.
    #[track_caller]
    pub fn fact(&self, name: &str) -> String {
        let terms = self.all("dl dt");
        let term = terms.into_iter().find(|term| words(*term) == name);
        let term = term.unwrap_or_else(|| panic!("{}: no fact {name:?}", self.path));
        let next = term.next_siblings().find_map(ElementRef::wrap).unwrap();
        words(next)
    }

    /// The secret that it shows, once.
    #[track_caller]
    pub fn secret(&self) -> String {
        let found = self.texts("#secret");
        assert_eq!(found.len(), 1, "{}: {}", self.path, self.text());
        let is_one = ["rgpu_", "rgat_", "rgsu_"]
            .iter()
            .any(|kind| found[0].starts_with(kind));
        let is_link = found[0].contains("/invitations/rgin_");
        assert!(is_one || is_link, "{}", found[0]);
        found[0].clone()
    }
}

/// The words of a control's label.
pub fn label_of(html: &Html, control: ElementRef<'_>) -> String {
    if let Some(id) = control.attr("id")
        && let Some(label) = html.select(&selector(&format!("label[for='{id}']"))).next()
    {
        return words(label);
    }
    let around = control.ancestors().filter_map(ElementRef::wrap);
    let mut labels = around.filter(|element| element.value().name() == "label");
    labels.next().map(words).unwrap_or_default()
}

#[derive(Debug, Clone)]
struct Control {
    name: String,
    label: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Hidden(String),
    Text(String),
    Radio(String, bool),
    Tick(String, bool),
    /// Values and words of the options, and which is chosen.
    Choice(Vec<(String, String)>, usize),
}

/// A form, to be filled in and sent.
#[derive(Debug, Clone)]
pub struct Form {
    pub method: String,
    pub action: String,
    controls: Vec<Control>,
    /// What the button that is pressed sends along.
    pressed: Option<(String, String)>,
}

impl Form {
    fn read(page: &Page, form: ElementRef<'_>, button: &str) -> Option<Self> {
        let attr =
            |element: ElementRef<'_>, name: &str| element.attr(name).unwrap_or_default().to_owned();
        let buttons = selector("button[type=submit]");
        let button = form
            .select(&buttons)
            .find(|found| words(*found) == button)?;
        let pressed = button
            .attr("name")
            .map(|name| (name.to_owned(), attr(button, "value")));
        let all = selector("input, select, textarea");
        let controls = form
            .select(&all)
            .filter(|control| control.attr("name").is_some())
            .map(|control| Control {
                name: attr(control, "name"),
                label: label_of(&page.html, control),
                kind: Kind::read(control),
            });
        let own = page.path.split('?').next().unwrap_or_default();
        Some(Self {
            method: form.attr("method").unwrap_or("get").to_lowercase(),
            action: form.attr("action").unwrap_or(own).to_owned(),
            controls: controls.collect(),
            pressed,
        })
    }

    #[track_caller]
    fn change(mut self, label: &str, change: impl Fn(&mut Kind) -> bool) -> Self {
        let known: Vec<String> = self.controls.iter().map(|c| c.label.clone()).collect();
        let wanted = self
            .controls
            .iter_mut()
            .filter(|control| control.label == label);
        let mut changed = wanted.map(|control| change(&mut control.kind));
        assert_eq!(changed.next(), Some(true), "{label:?} is none of {known:?}");
        assert_eq!(changed.next(), None, "{label:?} is two");
        drop(changed);
        self
    }

    /// Types into the field with this label.
    #[track_caller]
    pub fn fill(self, label: &str, text: &str) -> Self {
        self.change(label, |kind| match kind {
            Kind::Text(value) => {
                text.clone_into(value);
                true
            }
            _ => false,
        })
    }

    /// Chooses among radio buttons, or ticks a box.
    #[track_caller]
    pub fn choose(mut self, label: &str) -> Self {
        let chosen = self.controls.iter().find(|control| control.label == label);
        let group = chosen.map(|control| control.name.clone());
        for control in &mut self.controls {
            if let Kind::Radio(_, on) = &mut control.kind
                && Some(&control.name) == group.as_ref()
            {
                *on = false;
            }
        }
        self.change(label, |kind| match kind {
            Kind::Radio(_, on) | Kind::Tick(_, on) => {
                *on = true;
                true
            }
            _ => false,
        })
    }

    /// Selects the option with these words.
    #[track_caller]
    pub fn select(self, label: &str, option: &str) -> Self {
        self.change(label, |kind| match kind {
            Kind::Choice(options, at) => {
                let found = options.iter().position(|(_, words)| words == option);
                *at = found.unwrap_or_else(|| panic!("{option:?} is none of {options:?}"));
                true
            }
            _ => false,
        })
    }

    /// The hidden field of this name.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> &str {
        let found = self
            .controls
            .iter()
            .find_map(|control| match &control.kind {
                Kind::Hidden(value) if control.name == name => Some(value),
                _ => None,
            });
        found.unwrap_or_else(|| panic!("no hidden field {name}: {self:?}"))
    }

    /// What a browser does not do: another value for a field, whatever it is.
    pub fn forge(mut self, name: &str, value: &str) -> Self {
        self.controls.retain(|control| control.name != name);
        self.and(name, value)
    }

    /// One field more.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.controls.push(Control {
            name: name.to_owned(),
            label: String::new(),
            kind: Kind::Hidden(value.to_owned()),
        });
        self
    }

    /// One field less.
    pub fn without(mut self, name: &str) -> Self {
        self.controls.retain(|control| control.name != name);
        self
    }

    /// What a browser sends.
    pub fn fields(&self) -> Vec<(String, String)> {
        let sent = self.controls.iter().filter_map(|control| {
            let value = match &control.kind {
                Kind::Hidden(value) | Kind::Text(value) => value.clone(),
                Kind::Radio(value, on) | Kind::Tick(value, on) => on.then(|| value.clone())?,
                Kind::Choice(options, at) => options.get(*at)?.0.clone(),
            };
            Some((control.name.clone(), value))
        });
        sent.chain(self.pressed.clone()).collect()
    }
}

impl Kind {
    fn read(control: ElementRef<'_>) -> Self {
        let value = control.attr("value").map(str::to_owned);
        let on = control.attr("checked").is_some();
        if control.value().name() == "select" {
            let options: Vec<_> = control.select(&selector("option")).collect();
            let chosen = options.iter().position(|o| o.attr("selected").is_some());
            let pair = |option: &ElementRef<'_>| {
                let value = option.attr("value").map_or(words(*option), str::to_owned);
                (value, words(*option))
            };
            return Self::Choice(options.iter().map(pair).collect(), chosen.unwrap_or(0));
        }
        match control.attr("type").unwrap_or("text") {
            "hidden" => Self::Hidden(value.unwrap_or_default()),
            "radio" => Self::Radio(value.unwrap_or("on".to_owned()), on),
            "checkbox" => Self::Tick(value.unwrap_or("on".to_owned()), on),
            _ => Self::Text(value.unwrap_or_default()),
        }
    }
}
