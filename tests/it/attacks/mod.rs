//! The attacks of an adversary with some keys and some rights in the bucket, through the program: exit codes, and what a
//! reader relies upon. What the rules say of each by themselves is in `trust` and `ledger::trust`.
//!
//! | attack | tests |
//! |---|---|
//! | 1. a revoked key removes its own removal | `by_command`; `rollback::whoever_takes_the_end_of_a_key_away…` |
//! | 2. one entry, or 1,001 heads, stop every writer | `by_command` (two) |
//! | 2b. one PUT over the policy or an entry | `by_command`; older versions of a versioned bucket are not read yet |
//! | 3. stolen custodians | `by_command` (two); `custodians` |
//! | 4. other recipients in the collector's configuration | `by_command`; `guards::a_check_passes…` |
//! | 5. the printed instructions bring back old and deleted values | `readers::by_the_printed_instructions…` |
//! | 6. snapshots by nobody, by ended keys, without the role | `by_command`; `restore`; `readers::recover` for the instructions |
//! | 7. the memory of the host | `by_command`; `rollback`; `trust::pins` |
//! | 8. the collector verifies itself | `by_command` |
//! | 9. alarm after a correct revocation | `by_command`; `ledger::rubbish` for floods |
//! | 10. two readers, two ledgers | `readers::what_parsers_read_differently…`; `readers::agree` |
//! | 11. the pin of the identity is overruled | `by_command`; `trust::pins`; `mistakes` |
//! | 12. one lost version takes snapshots away | `by_command` |
//! | 13. a flood that is judged slowly | `ledger::rubbish::a_flood_by_an_ended_key…` |
//! | 14. what format 1 cannot take | no attack: `mistakes` and `sweep::guards` for keys and entries of tomorrow |
//! | 15. a plan over packs that are gone | `restore::a_plan_promises_nothing…` |
//! | 16. nothing to verify passes | `by_command` |
//! | 17. pipes and devices | `by_command` |
//! | 18. what the user names is no file | `by_command` |
//! | 19. an entry from the future, and other small ones | `by_command`; `verify`; `ledger` |

mod by_command;
mod custodians;
mod guards;
mod mistakes;
mod readers;
mod restore;
mod rollback;
