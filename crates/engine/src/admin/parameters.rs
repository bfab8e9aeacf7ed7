//! Runtime parameters: JSON values by vhost, component and name, and values by name alone.
//!
//! Operator policies and the limits of vhosts are parameters too, to RabbitMQ: they can be set and are listed as such, and are
//! kept where they act.

use leveret_codec::erlang::Binary;
use serde_json::{Value, json};

use crate::admin::limits::{LIMITS, VHOST_LIMITS};
use crate::admin::{AdminError, Done, Settings, VhostLimit, both, bytes_of, check_name, key, values};
use crate::broker::Broker;
use crate::events::{INTERNAL_USER, OPERATOR_POLICY};
use crate::journal::SettingKind;
use crate::json::value_of_json;
use crate::names::{Name, generated_name};
use crate::policy::PolicyKind;
use crate::queue::arguments::Term;
use crate::vhost::{Vhost, VhostLimits};

/// The component that policies would have.
const POLICY: &str = "policy";

/// Components whose parameters are kept as they are: nothing here acts by them.
const KEPT: &[&str] = &["federation", "federation-upstream", "federation-upstream-set", "shovel"];

/// The parameter that has the cluster's name.
const CLUSTER_NAME: &str = "cluster_name";

/// The parameter that has the cluster's id.
const CLUSTER_ID: &str = "internal_cluster_id";

/// The parameter that has the fingerprint of the definitions that were imported at start; nobody is shown it.
const DEFINITIONS_FINGERPRINT: &str = "imported_definition_hash_value";

/// A parameter of a vhost.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "RabbitMQ's own names")]
pub struct Parameter {
    pub vhost: Name,
    pub component: Name,
    pub name: Name,
    pub value: Value,
}

/// A parameter of no vhost.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "RabbitMQ's own names")]
pub struct GlobalParameter {
    pub name: Name,
    pub value: Value,
}

impl Broker {
    /// Sets a parameter of a vhost.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`], [`AdminError::PolicyAsParameter`], [`AdminError::Parameter`], [`AdminError::TooLarge`]
    pub fn set_parameter(
        &self,
        vhost: &str,
        component: &str,
        name: &str,
        value: Value,
        actor: &str,
    ) -> Result<Done, AdminError> {
        match component {
            POLICY => Err(AdminError::PolicyAsParameter("set")),
            OPERATOR_POLICY => {
                let bytes = value.to_string();
                let policy = values::read_policy(name, bytes.as_bytes()).map_err(AdminError::Parameter)?;
                self.set_policy(vhost, PolicyKind::Operator, policy, actor)
            }
            VHOST_LIMITS => {
                let limits = limits_of(name, &value)?;
                let mut settings = self.settings();
                let vhost = self.existing_vhost(vhost)?;
                self.set_vhost_limits_of(&mut settings, &vhost, limits, actor)
            }
            kept if KEPT.contains(&kept) => self.keep_parameter(vhost, component, name, value, actor),
            other => Err(AdminError::Parameter(format!("component {other} not found"))),
        }
    }

    fn keep_parameter(
        &self,
        vhost: &str,
        component: &str,
        name: &str,
        value: Value,
        actor: &str,
    ) -> Result<Done, AdminError> {
        check_name("parameter", name)?;
        let bytes = bytes_of(&value)?;
        let mut settings = self.settings();
        let vhost = self.existing_vhost(vhost)?;
        let names = both(component, name);
        let lsn = self.write(&mut settings, key(SettingKind::Parameter, &vhost.name, &names), &bytes);
        self.services.event("parameter.set", |fields| {
            let fields = fields.text("vhost", &vhost.name).text("component", component).text("name", name);
            match value_of_json(&value) {
                Ok(value) => fields.value("value", value).by(actor),
                Err(_) => fields.by(actor),
            }
        });
        let place = (Name::clone(&vhost.name), component.into(), name.into());
        let created = settings.parameters.insert(place, value).is_none();
        Ok(Done { lsn, created })
    }

    /// Removes a parameter of a vhost.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`], [`AdminError::PolicyAsParameter`], [`AdminError::Nothing`]
    pub fn clear_parameter(&self, vhost: &str, component: &str, name: &str, actor: &str) -> Result<Done, AdminError> {
        let nothing = AdminError::Nothing { what: "Parameter" };
        match component {
            POLICY => Err(AdminError::PolicyAsParameter("cleared")),
            OPERATOR_POLICY => match self.clear_policy(vhost, PolicyKind::Operator, name, actor) {
                Err(AdminError::Nothing { .. }) => Err(nothing),
                cleared => cleared,
            },
            VHOST_LIMITS => {
                let mut settings = self.settings();
                let vhost = self.existing_vhost(vhost)?;
                if name != LIMITS || vhost.limits() == VhostLimits::default() {
                    return Err(nothing);
                }
                self.set_vhost_limits_of(&mut settings, &vhost, VhostLimits::default(), actor)
            }
            _ => {
                let mut settings = self.settings();
                let vhost = self.existing_vhost(vhost)?;
                let place = (Name::clone(&vhost.name), component.into(), name.into());
                settings.parameters.remove(&place).ok_or(nothing)?;
                let lsn = self.forget_parameter(&mut settings, &vhost, component, name, actor);
                Ok(Done::at(lsn))
            }
        }
    }

    fn forget_parameter(
        &self,
        settings: &mut Settings,
        vhost: &Vhost,
        component: &str,
        name: &str,
        actor: &str,
    ) -> crate::journal::Lsn {
        self.services.event("parameter.cleared", |fields| {
            let fields = fields.text("vhost", &vhost.name).text("component", component);
            fields.text("name", name).by(actor)
        });
        self.write_cleared(settings, key(SettingKind::Parameter, &vhost.name, &both(component, name)))
    }

    /// Forgets the parameters of a vhost that is about to go.
    pub(super) fn clear_parameters_of(&self, settings: &mut Settings, vhost: &Vhost, actor: &str) {
        let places: Vec<_> = settings.parameters.keys().filter(|(of, ..)| *of == vhost.name).cloned().collect();
        for place in places {
            settings.parameters.remove(&place);
            let (_, component, name) = &place;
            self.forget_parameter(settings, vhost, component, name, actor);
        }
    }

    /// The parameters of a component and a vhost, where these are given, in order.
    #[must_use]
    pub fn parameters(&self, component: Option<&str>, vhost: Option<&str>) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let vhosts = match vhost {
            Some(name) => self.vhost(name).into_iter().collect(),
            None => self.vhosts(),
        };
        for vhost in vhosts {
            let of = |component: &str, name: &Name, value: Value| Parameter {
                vhost: Name::clone(&vhost.name),
                component: component.into(),
                name: Name::clone(name),
                value,
            };
            if vhost.limits() != VhostLimits::default() {
                parameters.push(of(VHOST_LIMITS, &LIMITS.into(), values::vhost_limits(vhost.limits())));
            }
            for policy in vhost.policies(PolicyKind::Operator) {
                parameters.push(of(OPERATOR_POLICY, &policy.name, values::policy(&policy)));
            }
        }
        let kept = self.settings();
        let is_meant = |((of, ..), _): &(&(Name, Name, Name), &Value)| vhost.is_none_or(|vhost| **of == *vhost);
        parameters.extend(kept.parameters.iter().filter(is_meant).map(|((vhost, component, name), value)| Parameter {
            vhost: Name::clone(vhost),
            component: Name::clone(component),
            name: Name::clone(name),
            value: value.clone(),
        }));
        drop(kept);
        parameters.retain(|parameter| component.is_none_or(|component| *parameter.component == *component));
        parameters.sort_by(|a, b| (&a.vhost, &a.component, &a.name).cmp(&(&b.vhost, &b.component, &b.name)));
        parameters
    }

    /// Sets a parameter of no vhost.
    ///
    /// # Errors
    /// [`AdminError::Name`], [`AdminError::TooLarge`]
    pub fn set_global_parameter(&self, name: &str, value: Value, actor: &str) -> Result<Done, AdminError> {
        check_name("parameter", name)?;
        let bytes = bytes_of(&value)?;
        let mut settings = self.settings();
        let lsn = self.write(&mut settings, key(SettingKind::GlobalParameter, "", name), &bytes);
        self.services.event("parameter.set", |fields| {
            let fields = fields.text("component", "global").text("name", name);
            match value_of_json(&value) {
                Ok(value) => fields.value("value", value).by(actor),
                Err(_) => fields.by(actor),
            }
        });
        let created = settings.global_parameters.insert(name.into(), value).is_none();
        Ok(Done { lsn, created })
    }

    /// Removes a parameter of no vhost.
    ///
    /// # Errors
    /// [`AdminError::Nothing`]
    pub fn clear_global_parameter(&self, name: &str, actor: &str) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        settings.global_parameters.remove(name).ok_or(AdminError::Nothing { what: "Parameter" })?;
        let lsn = self.write_cleared(&mut settings, key(SettingKind::GlobalParameter, "", name));
        self.services
            .event("parameter.cleared", |fields| fields.text("component", "global").text("name", name).by(actor));
        Ok(Done::at(lsn))
    }

    /// All parameters of no vhost, in order of their names.
    #[must_use]
    pub fn global_parameters(&self) -> Vec<GlobalParameter> {
        let of = |(name, value): (&Name, &Value)| GlobalParameter { name: Name::clone(name), value: value.clone() };
        let mut parameters: Vec<_> = self.settings().global_parameters.iter().map(of).collect();
        parameters.retain(|parameter| &*parameter.name != DEFINITIONS_FINGERPRINT);
        parameters
    }

    /// What tells this cluster from all others, whatever they are called; empty until it is seeded.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        let settings = self.settings();
        settings.global_parameters.get(CLUSTER_ID).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Gives the cluster an id, if it has none.
    pub(super) fn name_cluster_for_good(&self) -> Result<Done, AdminError> {
        if !self.cluster_id().is_empty() {
            return Ok(Done::at(self.settings().last_lsn));
        }
        let mut random = [0; 16];
        for half in random.chunks_exact_mut(8) {
            half.copy_from_slice(&self.services.random().to_le_bytes());
        }
        self.set_global_parameter(CLUSTER_ID, json!(generated_name("rabbitmq-cluster-id-", random)), INTERNAL_USER)
    }

    /// The fingerprint of the definitions that were imported last at a start.
    #[must_use]
    pub fn definitions_fingerprint(&self) -> Option<String> {
        let settings = self.settings();
        settings.global_parameters.get(DEFINITIONS_FINGERPRINT).and_then(Value::as_str).map(str::to_owned)
    }

    /// Notes which definitions were imported at a start.
    ///
    /// # Errors
    /// Never: it is short.
    pub fn set_definitions_fingerprint(&self, fingerprint: &str, actor: &str) -> Result<Done, AdminError> {
        self.set_global_parameter(DEFINITIONS_FINGERPRINT, json!(fingerprint), actor)
    }

    /// The cluster's name; the node's where none was given.
    #[must_use]
    pub fn cluster_name(&self) -> String {
        match self.settings().global_parameters.get(CLUSTER_NAME) {
            Some(Value::String(name)) => name.clone(),
            _ => self.services.notices.node().to_owned(),
        }
    }

    /// Gives the cluster a name.
    ///
    /// # Errors
    /// [`AdminError::TooLarge`]
    pub fn set_cluster_name(&self, name: &str, actor: &str) -> Result<Done, AdminError> {
        self.set_global_parameter(CLUSTER_NAME, json!(name), actor)
    }
}

/// The limits that a parameter says.
fn limits_of(name: &str, value: &Value) -> Result<VhostLimits, AdminError> {
    let mut limits = VhostLimits::default();
    let object = match value {
        Value::Object(object) => object,
        // RabbitMQ writes no limits as an empty list.
        Value::Array(nothing) if nothing.is_empty() => return Ok(limits),
        other => return Err(AdminError::Parameter(format!("{name} not a list {}", in_erlang(other)))),
    };
    let mut unknown = Vec::new();
    for (key, value) in object {
        let place = match VhostLimit::parse(key) {
            Some(VhostLimit::MaxConnections) => &mut limits.connections_max,
            Some(VhostLimit::MaxQueues) => &mut limits.queues_max,
            None => {
                unknown.push(format!("{{{},{}}}", Binary(key.as_bytes()), in_erlang(value)));
                continue;
            }
        };
        let number = value.as_i64().ok_or_else(|| no_number(key, value))?;
        *place = u64::try_from(number).ok();
    }
    match &*unknown {
        [] => Ok(limits),
        unknown => Err(AdminError::Parameter(format!("Unrecognised terms [{}] in {name}", unknown.join(",")))),
    }
}

/// The refusal of something that should be a number.
pub(crate) fn no_number(key: &str, value: &Value) -> AdminError {
    AdminError::Parameter(format!("{key} should be a number, actually was {}", in_erlang(value)))
}

/// A value as Erlang prints it.
fn in_erlang(value: &Value) -> String {
    value_of_json(value).map_or_else(|_| value.to_string(), |value| Term(&value).to_string())
}
