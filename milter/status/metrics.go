package status

import (
	"strings"
	"time"

	"signpost/keystore/rotation"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// DefaultKeys is how many keys have metrics of their own.
const DefaultKeys = 1000

// collector reads the metrics of keys and sessions from a Source when they are
// asked for.
type collector struct {
	source *Source
	limit  int // keys that have metrics of their own, those that need attention first

	keys, stage, made, checked, failing, apart *prometheus.Desc
	ready, unsignable, deferred                *prometheus.Desc
	open, begun, refused, reloads, failed      *prometheus.Desc
	held, storeUp, storeAge, round, nodes      *prometheus.Desc
	memory, memoryLimit                        *prometheus.Desc
	reports                                    reportDescs
	build                                      *prometheus.Desc
}

// NewRegistry returns all metrics of the daemon.
func NewRegistry(source *Source, recorder *Recorder) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(recorder.Collectors()...)
	r.MustRegister(newCollector(source, DefaultKeys), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func newCollector(source *Source, limit int) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("signpost_"+name, help, labels, nil)
	}
	key := []string{"domain", "selector", "algorithm"}
	return &collector{
		source: source, limit: limit, reports: newReportDescs(desc),
		keys:  desc("keys", "Keys in the key directory by stage, all of them.", "stage"),
		stage: desc("key_stage", "1 for the stage that the key is in.", append(key, "stage")...),
		made:  desc("key_made_timestamp_seconds", "Time of the key's file.", key...),
		checked: desc("key_checked_timestamp_seconds",
			"When the DNS last answered clearly about the key's record.", key...),
		failing: desc("key_check_failing",
			"1 if the last query of the key's record had no clear answer, or its file cannot be used.", key...),
		apart: desc("keys_shown", "Keys that have metrics of their own, those that need attention first."),
		ready: desc("ready", "1 if mail can be signed, as /readyz says."),
		unsignable: desc("domains_unsignable",
			"Domains that have keys or must be signed and cannot be: their mail is deferred."),
		deferred: desc("domain_unsignable", "1 for each of them, up to a bound.", "domain"),
		open:     desc("sessions", "Open milter sessions."),
		begun:    desc("sessions_total", "Milter sessions begun."),
		refused: desc("connections_refused_total",
			"Connections refused or closed for what the peer did, by reason.", "reason"),
		memory:      desc("memory_bytes", "Memory taken for the headers of messages in transit."),
		memoryLimit: desc("memory_limit_bytes", "The most that may be taken."),
		reloads:     desc("key_reloads_total", "Times the key directory was read again."),
		failed:      desc("key_reload_failures_total", "Times that failed; the keys stay as they were."),
		held: desc("keys_held",
			"Keys that stay in force though their files are missing, for their removal is not proven."),
		storeUp:  desc("store_up", "1 if the store of keys answers.", "store"),
		storeAge: desc("store_answer_age_seconds", "Time since the store of keys last answered.", "store"),
		round: desc("dns_round_seconds",
			"Time in which the DNS is asked once about each published key; 0 in the first round."),
		nodes: desc("dns_nodes", "Nodes that divide the questions to the DNS, this one too."),
		build: desc("build_info", "1, with what the program was built of.", "version", "rsa", "goversion"),
	}
}

// Describe lists all metrics.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.keys, c.stage, c.made, c.checked, c.failing, c.apart, c.ready,
		c.unsignable, c.deferred, c.open, c.begun, c.refused, c.memory, c.memoryLimit,
		c.reloads, c.failed, c.held, c.storeUp, c.storeAge, c.round, c.nodes, c.build} {
		out <- desc
	}
	c.reports.describe(out)
}

// Collect reads them.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	count := func(desc *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(c.build, 1, c.source.Version, c.source.RSA, goVersion())

	state := c.source.Readiness()
	gauge(c.ready, number(len(state.Down) == 0))
	gauge(c.unsignable, float64(len(state.Unsignable)))
	for _, domain := range state.Unsignable[:min(len(state.Unsignable), c.limit)] {
		gauge(c.deferred, 1, valid(domain.Domain))
	}

	open, begun := c.source.Sessions()
	gauge(c.open, float64(open))
	count(c.begun, begun)
	for why, n := range c.source.Refused() {
		count(c.refused, n, why)
	}
	taken, limit := c.source.Memory()
	gauge(c.memory, float64(taken))
	gauge(c.memoryLimit, float64(limit))
	reloads, failed := c.source.Reloads()
	count(c.reloads, reloads)
	count(c.failed, failed)
	gauge(c.held, float64(c.source.Held().Keys))
	for _, store := range c.source.Answers() {
		gauge(c.storeUp, number(store.Err == nil), valid(store.Store))
		if !store.Last.IsZero() {
			gauge(c.storeAge, time.Since(store.Last).Seconds(), valid(store.Store))
		}
	}
	if c.source.Round != nil {
		round := c.source.Round()
		gauge(c.round, round.Length.Seconds())
		gauge(c.nodes, float64(len(round.Nodes)))
	}

	c.reports.collect(c.source, c.limit, gauge)

	index := c.source.Index()
	for _, stage := range rotation.Stages() {
		gauge(c.keys, float64(index.keys[stage]), string(stage))
	}
	shown := 0
	for _, name := range index.names {
		if shown == c.limit {
			break
		}
		domain, _ := c.source.Domain(name)
		seen := make(map[[2]string]bool, len(domain.Keys))
		for _, key := range domain.Keys {
			labels := []string{valid(name), valid(key.Selector), valid(key.Algorithm)}
			// Two files can claim one name. A metric twice would fail the whole scrape.
			if shown == c.limit || seen[[2]string{key.Selector, key.Algorithm}] {
				continue
			}
			seen[[2]string{key.Selector, key.Algorithm}] = true
			shown++
			gauge(c.stage, 1, append(labels, string(key.Stage))...)
			gauge(c.failing, number(key.Failure != ""), labels...)
			if !key.Made.IsZero() {
				gauge(c.made, seconds(key.Made), labels...)
			}
			if !key.Checked.IsZero() {
				gauge(c.checked, seconds(key.Checked), labels...)
			}
		}
	}
	gauge(c.apart, float64(shown))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// valid is for names on disk: any other octets would fail the whole scrape.
func valid(label string) string { return strings.ToValidUTF8(label, "\ufffd") }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
