//! Averages with their errors.

/// Errors above or below which nothing is called a matter of chance any more.
pub const ERRORS: f64 = 2.0;

/// A sample's mean with its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// Size of the sample.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
}

impl Mean {
    /// Of these values.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0).max(1.0);
        Self { count: values.len() as u64, mean, error: (spread / count).sqrt() }
    }

    /// Lower end of what the true mean may be.
    pub fn low(&self) -> f64 {
        self.mean - ERRORS * self.error
    }
}

/// The value that a `share` of the sorted values do not exceed.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_error_of_its_sample() {
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((mean.count, mean.mean), (4, 2.5));
        assert!((mean.error - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(Mean::of(&[]), Mean::default());
        assert_eq!((Mean::of(&[7.0]).mean, Mean::of(&[7.0]).error), (7.0, 0.0));
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&[1.0, 5.0, 9.0], share)), [1.0, 5.0, 9.0]);
    }
}
