//! Waiting for a remote store can be given up: whoever starts the work says how to tell.

use std::cell::RefCell;
use std::rc::Rc;

type Check = Rc<dyn Fn() -> bool>;

thread_local! {
    static CHECKS: RefCell<Vec<Check>> = const { RefCell::new(Vec::new()) };
}

/// Ends its scope also when the work panics.
struct Scope;

impl Drop for Scope {
    fn drop(&mut self) {
        CHECKS.with_borrow_mut(Vec::pop);
    }
}

/// Does `work`; its reads on this thread end with a `Cancelled` error soon after `check` turns true.
pub fn scope<T>(check: impl Fn() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    CHECKS.with_borrow_mut(|checks| checks.push(Rc::new(check)));
    let _scope = Scope;
    work()
}

/// Whether any enclosing scope wants this thread's reads to end.
pub fn requested() -> bool {
    let checks: Vec<Check> = CHECKS.with_borrow(Clone::clone);
    checks.iter().any(|check| check())
}

#[cfg(test)]
mod tests {
    use super::{requested, scope};

    #[test]
    fn a_scope_ends_with_its_work() {
        assert!(!requested());
        scope(|| true, || assert!(requested()));
        scope(|| false, || assert!(!requested()));
        scope(|| true, || scope(|| false, || assert!(requested())));
        let panicked = std::panic::catch_unwind(|| scope(|| true, || assert!(!requested())));
        assert!(panicked.is_err());
        assert!(!requested());
    }
}
