use crate::user::{User, run};

#[test]
fn completions_are_made_for_every_shell() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = user.run("http://127.0.0.1:1", &format!("completions {shell}"));
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains("namespaces"), "{shell}");
        let done = run(user.kubectl_remotegpu().args(["completions", shell]));
        assert!(done.stdout.contains("exec-credential"), "{shell}");
    }
}

#[test]
fn help_has_examples_and_names_no_secret_option() {
    let user = User::new();
    for words in [
        "--help",
        "login --help",
        "keys create --help",
        "kubeconfig --help",
    ] {
        let done = user.run("http://127.0.0.1:1", words);
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("Example"), "{words}");
        assert!(!done.stdout.contains("--password "), "{words}");
    }
}
