//! How to get from a namespace's page to `kubectl get pods`.

use maud::{Markup, html};
use remotegpu_control_plane::RenderedKubeconfig;
use remotegpu_namespaces::Namespace;

use crate::parts::{code, kubeconfig};

pub(super) fn render(
    namespace: &Namespace,
    page: &str,
    rendered: Option<&RenderedKubeconfig>,
) -> Markup {
    let file = remotegpu_kubeconfig::filename(namespace.name.as_str());
    let sh = format!("export KUBECONFIG=\"$HOME/Downloads/{file}\"\nkubectl get pods");
    let fish = format!("set -x KUBECONFIG \"$HOME/Downloads/{file}\"\nkubectl get pods");
    let powershell = format!("$env:KUBECONFIG = \"$HOME\\Downloads\\{file}\"\nkubectl get pods");
    let merge = kubeconfig::merge_lines(&file);
    html! {
        section aria-labelledby="way-in" {
            h2 id="way-in" { "Use it" }
            p { "The kubeconfig holds no secret: each call exchanges your API key for a token that \
                 lives for minutes, and revoking the key ends those as well." }
            (kubeconfig::buttons(&format!("{page}/kubeconfig")))
            @if let Some(RenderedKubeconfig { filename, yaml }) = rendered {
                details { summary { "Look at the kubeconfig, or copy it" } (code::block("kubeconfig", filename, yaml)) }
            }
            p { "In a shell that has your key in " code { "REMOTEGPU_API_KEY" } ", as "
                a href="/settings/api-keys" { "Settings / API Keys" } " shows with each new one:" }
            (code::block("lines-sh", "sh, bash, zsh", &sh))
            details { summary { "fish" } (code::block("lines-fish", "fish", &fish)) }
            details { summary { "PowerShell" } (code::block("lines-powershell", "PowerShell", &powershell)) }
            details { summary { "Merge it into the kubeconfig you have" } (code::block("lines-merge", "sh, bash, zsh", &merge)) }
            details {
                summary { "Lens, Headlamp and other programs with windows" }
                p { "They do not see your shell's variables. Take the file for "
                    code { "kubectl-remotegpu" } ", and give it the key once:" }
                (code::block("lines-windows", "sh, bash, zsh", "remotegpu keys use"))
            }
        }
    }
}
