//! Statistics of the TSDB.

use proto::thanos::{
    HeadStatistics, Statistic, TsdbStatistics, TsdbStatisticsEntry, TsdbStatisticsRequest,
    TsdbStatisticsResponse, status_server, tsdb_statistics_response::Result as Frame,
};
use tonic::{Request, Response, Status};

use super::{Answer, Told, answer};
use crate::{
    api::labels::matchers,
    error::AnswerError,
    prometheus::{Count, TsdbStatus},
};

#[tonic::async_trait]
impl status_server::Status for Told {
    type TSDBStatisticsStream = Answer<TsdbStatisticsResponse>;

    async fn tsdb_statistics(
        &self,
        wire: Request<TsdbStatisticsRequest>,
    ) -> Result<Response<Self::TSDBStatisticsStream>, Status> {
        answer(self.statistics_of(wire.into_inner()).await)
    }
}

impl Told {
    async fn statistics_of(
        &self,
        wire: TsdbStatisticsRequest,
    ) -> Result<Vec<TsdbStatisticsResponse>, AnswerError> {
        let matchers = matchers(&wire.matchers)?;
        let external = self.0.ready()?.labels;
        let meant = matchers
            .iter()
            .all(|m| m.matches(external.get(&m.name).unwrap_or_default()));
        let frame = |result| TsdbStatisticsResponse {
            result: Some(result),
        };
        if !meant {
            return Ok(vec![frame(Frame::Statistics(TsdbStatistics::default()))]);
        }
        let pairs = match wire.limit {
            some if some > 0 => vec![("limit", some.to_string())],
            _ => vec![],
        };
        let asked = self.0.ask::<TsdbStatus>("api/v1/status/tsdb", &pairs);
        let (status, warnings) = asked.await?;
        let head = status.head_stats;
        let entry = TsdbStatisticsEntry {
            head_statistics: Some(HeadStatistics {
                num_series: head.num_series,
                num_label_pairs: head.num_label_pairs,
                chunk_count: head.chunk_count,
                min_time: head.min_time,
                max_time: head.max_time,
            }),
            series_count_by_metric_name: counts(status.series_count_by_metric_name),
            label_value_count_by_label_name: counts(status.label_value_count_by_label_name),
            memory_in_bytes_by_label_name: counts(status.memory_in_bytes_by_label_name),
            series_count_by_label_value_pair: counts(status.series_count_by_label_value_pair),
        };
        let statistics = TsdbStatistics {
            // There are no tenants.
            statistics: [(String::new(), entry)].into(),
        };
        let warnings = warnings.into_iter().map(|w| frame(Frame::Warning(w)));
        let statistics = frame(Frame::Statistics(statistics));
        Ok(warnings.chain([statistics]).collect())
    }
}

fn counts(counts: Vec<Count>) -> Vec<Statistic> {
    let statistic = |count: Count| Statistic {
        name: count.name,
        value: count.value,
    };
    counts.into_iter().map(statistic).collect()
}
