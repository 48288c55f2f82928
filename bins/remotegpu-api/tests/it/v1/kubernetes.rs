mod account_kubeconfig;
mod clusters;
mod exec_credential;
mod kubeconfig;
mod kubeconfig_token;
mod namespaces;
