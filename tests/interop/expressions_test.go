package interop

// handPicked are expressions about the history, none of which needs the clock.
// Thanos Query answers resets(counter[…]) with 0, whatever the store gives it
// (https://github.com/thanos-io/thanos/issues/3644): it takes the resets out of
// what rate, increase, irate and resets see. Behind a comparison it does not.
var handPicked = []string{
	// Selectors: each kind of matcher, and what Go's regular expressions mean.
	`up`,
	`{__name__="up",job="web"}`,
	`{__name__=~"http_.+",code="200"}`,
	`http_requests_total{code!="200",handler="/"}`,
	`http_requests_total{code=~"4..|5.."}`,
	`http_requests_total{code!~"4.*",pod=~"web-[135]-.*"}`,
	`http_requests_total{pod=~"(?i)WEB-0-A"}`,
	`http_requests_total{code=~"\\d{3}",az=~"eu-(0|2)"}`,
	`{job="rpc",quantile=~"0\\.9.?"}`,
	`memory_usage_bytes{absent_label=""}`,
	`sorted_around{b=""}`,
	`sorted_around{b!=""}`,
	`sorted_around{z=~".*",d=~".+"}`,
	`sorted_around{cluster_name!="x",Zone!~"1"}`,
	`{__name__=~"odd.*|once|hourly"}`,
	`{"http.server.requests"}`,
	`{"http.server.requests","service.name"="größe/東京"}`,
	`{"http.server.requests","service.name"=~"say \"hi\".*\n"}`,
	`room_temperature_celsius{room=~"größe/.*|lab"}`,
	`no_such_metric`,
	`tenant_objects{tenant=~"0.[02468]."}`,

	// Values: gaps, stale markers, special floats.
	`batch_progress`,
	`queue_length`,
	`odd_values`,
	`odd_values == odd_values`,
	`1 / odd_values{kind="zeros"}`,
	`once`,
	`changes(odd_values[30m])`,
	`count_over_time(batch_progress[1h])`,
	`last_over_time(queue_length[20m])`,
	`present_over_time(hourly[2h])`,
	`absent_over_time(queue_length{queue="short-lived"}[10m])`,
	`absent(queue_length{queue="short-lived"})`,
	`timestamp(up{job="web"})`,

	// Counters and gauges over time.
	`rate(http_requests_total[5m])`,
	`irate(http_requests_total{handler="/"}[5m])`,
	`increase(http_requests_total{code="500"}[1h])`,
	`resets((http_requests_total >= 0)[2h:30s])`,
	`delta(room_temperature_celsius[30m])`,
	`idelta(memory_usage_bytes[5m])`,
	`deriv(room_temperature_celsius[20m])`,
	`predict_linear(memory_usage_bytes[1h], 3600)`,
	`avg_over_time(queue_length[1h])`,
	`min_over_time(room_temperature_celsius[1h])`,
	`max_over_time(odd_values{kind!="nan"}[20m])`,
	`sum_over_time(tenant_objects{tier="paid"}[1h])`,
	`stddev_over_time(room_temperature_celsius[1h])`,
	`quantile_over_time(0.9, queue_length[1h])`,
	`rate(slow_total[30m])`,
	`rate(process_cpu_seconds_total[2m]) * 100`,

	// Aggregations.
	`sum(rate(http_requests_total[5m]))`,
	`sum by (handler, code) (rate(http_requests_total[5m]))`,
	`sum without (pod, az) (increase(http_requests_total[30m]))`,
	`count by (tier) (tenant_objects)`,
	`avg by (az) (memory_usage_bytes)`,
	`quantile(0.3, tenant_objects)`,
	`stdvar by (tier) (tenant_objects)`,
	`topk(3, rate(process_cpu_seconds_total[10m]))`,
	`bottomk(2, room_temperature_celsius)`,
	`group by (__name__) ({pod="web-0-a"})`,
	`count_values("version", build_info)`,
	`sort(rate(process_cpu_seconds_total[10m]))`,
	`sort_desc(room_temperature_celsius)`,
	`count({__name__=~".+"})`,
	`count by (__name__) ({__name__=~".+"})`,

	// Between vectors.
	`rate(http_requests_total{code="500"}[5m]) / ignoring(code) rate(http_requests_total{code="200"}[5m])`,
	`memory_usage_bytes * on (pod) group_left (version) build_info`,
	`sum by (pod) (memory_usage_bytes) > bool 50000`,
	`up and on (pod) build_info{version="v1.1.0"}`,
	`queue_length > 2000 or queue_length < 100`,
	`http_requests_total unless on (pod) build_info{version="v1.0.0"}`,
	`sorted_around{b="1"} + on (b) group_left sorted_around{b="1",d=""}`,

	// Histograms and summaries.
	`histogram_quantile(0.9, rate(request_duration_seconds_bucket[10m]))`,
	`histogram_quantile(0.5, sum by (le) (rate(request_duration_seconds_bucket[1h])))`,
	`rate(request_duration_seconds_sum[10m]) / rate(request_duration_seconds_count[10m])`,
	`rpc_latency_seconds`,
	`native_latency_seconds`,
	`native_sizes_bytes`,
	`rate(native_latency_seconds[10m])`,
	`histogram_quantile(0.9, sum(rate(native_latency_seconds[10m])))`,
	`histogram_count(native_latency_seconds) + histogram_sum(native_latency_seconds)`,
	`avg_over_time(native_sizes_bytes[30m])`,

	// Other instants, and queries inside queries.
	`http_requests_total{handler="/",code="200"} offset 2h`,
	`room_temperature_celsius offset -30m`,
	`queue_length @ 1700006400`,
	`rate(http_requests_total{code="200"}[5m] @ end())`,
	`max_over_time(rate(http_requests_total{code="200"}[5m])[1h:5m])`,
	`avg_over_time((room_temperature_celsius > 0)[2h:10m])`,
	`min_over_time(deriv(room_temperature_celsius[10m])[1h:])`,

	// Functions of labels and values.
	`label_replace(up, "slot", "$1", "pod", "web-(.)-.*")`,
	`label_join(memory_usage_bytes, "place", "/", "az", "zone")`,
	`clamp(room_temperature_celsius, -5, 15)`,
	`round(ln(abs(memory_usage_bytes)), 0.01)`,
	`sgn(odd_values)`,
	`hour(timestamp(hourly)) + minute(timestamp(hourly))`,
	`scalar(room_temperature_celsius{room="lab"}) + vector(1)`,
}
