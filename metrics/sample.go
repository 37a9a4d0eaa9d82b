package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A sample is one value at one scrape. It is a prometheus.Metric that shares its
// labels with its neighbours: the library's own constant metrics check and copy
// them for each, which is most of a scrape's cost at 10,000 connections.
type sample struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair // sorted by name
	counter bool             // else a gauge
	value   float64
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.counter {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// A sink sends samples to the registry, made a block at a time.
type sink struct {
	ch    chan<- prometheus.Metric
	block []sample
}

const blockSize = 256

func (k *sink) send(s sample) {
	if len(k.block) == cap(k.block) {
		k.block = make([]sample, 0, blockSize)
	}
	k.block = append(k.block, s)
	k.ch <- &k.block[len(k.block)-1]
}

func (k *sink) gauge(d *prometheus.Desc, v float64, labels ...*dto.LabelPair) {
	k.send(sample{d, labels, false, v})
}

func (k *sink) counter(d *prometheus.Desc, v uint64, labels ...*dto.LabelPair) {
	k.send(sample{d, labels, true, float64(v)})
}

// label makes a label with a value of this scrape.
func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// fixed makes labels of fixed words.
func fixed(name string, values ...string) map[string]*dto.LabelPair {
	pairs := make(map[string]*dto.LabelPair, len(values))
	for _, v := range values {
		pairs[v] = label(name, v)
	}
	return pairs
}
