//! The objects of Kubernetes, as far as the examples use them.

#![expect(
    dead_code,
    reason = "most fields are there to be read into, so that a wrong name or type is refused"
)]

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) type Labels = BTreeMap<String, String>;

/// Structs that refuse what they do not name.
macro_rules! shapes {
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields, rename_all = "camelCase")]
            pub(super) struct $name {
                $($(#[$attribute])* pub(super) $field: $kind,)*
            }
        )*
    };
}

shapes! {
    Metadata { name: String, #[serde(default)] labels: Labels }
    PodMetadata { labels: Labels }

    ConfigMap { api_version: String, kind: String, metadata: Metadata, data: BTreeMap<String, String> }

    Service { api_version: String, kind: String, metadata: Metadata, spec: ServiceSpec }
    ServiceSpec {
        #[serde(rename = "clusterIP")] cluster_ip: Option<String>,
        publish_not_ready_addresses: Option<bool>,
        selector: Labels,
        ports: Vec<ServicePort>,
    }
    ServicePort { name: String, port: u16, target_port: String }

    PodDisruptionBudget { api_version: String, kind: String, metadata: Metadata, spec: BudgetSpec }
    BudgetSpec { min_available: Option<u32>, max_unavailable: Option<u32>, selector: Selector }

    NetworkPolicy { api_version: String, kind: String, metadata: Metadata, spec: PolicySpec }
    PolicySpec { pod_selector: Selector, policy_types: Vec<PolicyType>, ingress: Vec<Ingress> }
    Ingress { from: Vec<Peer>, ports: Vec<PolicyPort> }
    Peer { pod_selector: Selector }
    PolicyPort { port: String }

    StatefulSet { api_version: String, kind: String, metadata: Metadata, spec: StatefulSetSpec }
    StatefulSetSpec {
        service_name: String,
        replicas: u32,
        pod_management_policy: PodManagementPolicy,
        selector: Selector,
        template: Template,
        #[serde(default)] volume_claim_templates: Vec<Claim>,
    }
    Claim { metadata: Metadata, spec: ClaimSpec }
    ClaimSpec { access_modes: Vec<AccessMode>, resources: Resources }

    Deployment { api_version: String, kind: String, metadata: Metadata, spec: DeploymentSpec }
    DeploymentSpec { replicas: u32, strategy: Strategy, selector: Selector, template: Template }
    Strategy { rolling_update: RollingUpdate }
    RollingUpdate { max_unavailable: u32, max_surge: u32 }

    Selector {
        #[serde(default)] match_labels: Labels,
        #[serde(default)] match_expressions: Vec<Expression>,
    }
    Expression { key: String, operator: Operator, values: Vec<String> }

    Template { metadata: PodMetadata, spec: PodSpec }
    PodSpec {
        automount_service_account_token: bool,
        termination_grace_period_seconds: u32,
        affinity: Option<Affinity>,
        #[serde(default)] topology_spread_constraints: Vec<Spread>,
        security_context: PodSecurity,
        containers: Vec<Container>,
        #[serde(default)] volumes: Vec<Volume>,
    }
    Affinity { pod_anti_affinity: AntiAffinity }
    AntiAffinity { required_during_scheduling_ignored_during_execution: Vec<AffinityTerm> }
    AffinityTerm { topology_key: String, label_selector: Selector }
    Spread { max_skew: u32, topology_key: String, when_unsatisfiable: WhenUnsatisfiable, label_selector: Selector }
    PodSecurity { run_as_non_root: bool, run_as_user: u32, run_as_group: u32, fs_group: u32, seccomp_profile: Seccomp }
    Seccomp { #[serde(rename = "type")] kind: SeccompType }

    Container {
        name: String,
        image: String,
        args: Vec<String>,
        #[serde(default)] env: Vec<Variable>,
        ports: Vec<ContainerPort>,
        startup_probe: Option<Probe>,
        readiness_probe: Option<Probe>,
        liveness_probe: Option<Probe>,
        lifecycle: Option<Lifecycle>,
        resources: Resources,
        security_context: Security,
        #[serde(default)] volume_mounts: Vec<Mount>,
    }
    Variable { name: String, value: Option<String>, value_from: Option<ValueFrom> }
    ValueFrom { field_ref: FieldRef }
    FieldRef { field_path: String }
    ContainerPort { name: String, container_port: u16 }
    Probe {
        http_get: HttpGet,
        period_seconds: Option<u32>,
        timeout_seconds: Option<u32>,
        failure_threshold: Option<u32>,
    }
    HttpGet { path: String, port: String }
    Lifecycle { pre_stop: PreStop }
    PreStop { exec: Option<Exec>, sleep: Option<Sleep> }
    Exec { command: Vec<String> }
    Sleep { seconds: u32 }
    Resources { requests: BTreeMap<String, String>, limits: Option<BTreeMap<String, String>> }
    Security { allow_privilege_escalation: bool, read_only_root_filesystem: bool, capabilities: Capabilities }
    Capabilities { drop: Vec<String> }
    Mount { name: String, mount_path: String, read_only: Option<bool> }

    Volume {
        name: String,
        config_map: Option<ConfigMapVolume>,
        secret: Option<SecretVolume>,
        empty_dir: Option<EmptyDir>,
    }
    ConfigMapVolume { name: String }
    SecretVolume { secret_name: String, default_mode: u32, #[serde(default)] items: Vec<Item> }
    Item { key: String, path: String }
    EmptyDir { size_limit: Option<String> }
}

/// Names of which one is meant.
macro_rules! choices {
    ($($name:ident { $($choice:ident),* })*) => {
        $(
            #[derive(Debug, Deserialize)]
            pub(super) enum $name {
                $($choice,)*
            }
        )*
    };
}

choices! {
    PolicyType { Ingress, Egress }
    PodManagementPolicy { OrderedReady, Parallel }
    AccessMode { ReadWriteOnce, ReadWriteOncePod }
    Operator { In, NotIn }
    WhenUnsatisfiable { DoNotSchedule, ScheduleAnyway }
    SeccompType { RuntimeDefault }
}
