//! Threads that compute side by side for somebody who waits: pure computation, nothing that blocks.

use rayon::prelude::*;

/// Some threads, or none but the caller's.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pool: Option<rayon::ThreadPool>,
}

impl Crew {
    /// A crew of so many threads; of one or none is the caller alone.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        if threads <= 1 {
            return Ok(Self::default());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("nostro-crew-{n}"));
        Ok(Self { pool: Some(pool.build().map_err(std::io::Error::other)?) })
    }

    /// How many compute at once.
    pub(crate) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Does something in one of the crew's threads, so that the others are at hand for all [`each`](Self::each) in it.
    pub(crate) fn gather<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            None => work(),
            Some(pool) => pool.install(work),
        }
    }

    /// Does `work` to each item, with its place; comes back when all are done. Each item has one thread at a time.
    pub(crate) fn each<T: Send>(&self, items: &mut [T], work: impl Fn(usize, &mut T) + Sync + Send) {
        match &self.pool {
            None => items.iter_mut().enumerate().for_each(|(place, item)| work(place, item)),
            Some(pool) => {
                pool.install(|| items.par_iter_mut().enumerate().for_each(|(place, item)| work(place, item)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_whatever_the_threads() {
        for threads in [0, 1, 2, 5] {
            let crew = Crew::new(threads).unwrap();
            assert_eq!(crew.threads(), threads.max(1));
            let mut items = vec![0; 1000];
            crew.each(&mut items, |place, item| *item += place);
            assert!(items.iter().enumerate().all(|(place, &item)| place == item));
            crew.each(&mut [] as &mut [u8], |_, _| unreachable!());
        }
    }
}
