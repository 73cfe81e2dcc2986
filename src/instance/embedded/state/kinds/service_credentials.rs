//! `service_credentials`: credentials of another service. Not issued here.

use super::super::State;
use super::super::data::Secret;
use super::super::input::Body;
use super::super::refusal::Refusal;
use super::{Fresh, Making, not_issued};
use crate::model::Timestamp;

const TYPE: &str = "service_credentials";
pub(super) const CREATE: [&str; 0] = [];
pub(super) const VERSION: [&str; 0] = [];
pub(super) const PATCH: [&str; 0] = [];

impl State {
    pub(super) fn first_service_credentials(&mut self, _making: &Making<'_>) -> Result<Fresh, Refusal> {
        Err(not_issued(TYPE))
    }

    pub(super) fn next_service_credentials(
        &mut self,
        _now: Timestamp,
        _body: &Body<'_>,
        _secret: &Secret,
    ) -> Result<Fresh, Refusal> {
        Err(not_issued(TYPE))
    }

    pub(super) fn patch_service_credentials(
        &mut self,
        _now: Timestamp,
        _body: &Body<'_>,
        _secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        Ok(false)
    }
}
