// histogram.go owns how long requests take: the distribution, and the classic
// histogram with cumulative integer buckets into which they are counted.
package main

import "math"

var bucketEdges = [...]float64{.005, .01, .025, .05, .1, .25, .4, .5, 1, 2.5}

// distribution is log-normal around a median, with spread as the ratio of its
// 95th percentile to the median (1: all take the same time). A share of slow
// requests takes exactly the slow time, so that tests can count on it.
type distribution struct {
	median, spread, slowShare, slow float64
}

const (
	normal95 = 1.6448536269514722 // the 95th percentile of the standard normal distribution
	// A share this small is none: otherwise one of very many quick requests
	// would be counted as one of seconds.
	negligible = 1e-6
)

func (d distribution) sigma() float64 { return math.Log(d.spread) / normal95 }

// below is the share of requests that take at most edge seconds.
func (d distribution) below(edge float64) float64 {
	usual := 0.0
	switch sigma := d.sigma(); {
	case sigma > 0 && d.median > 0:
		usual = 0.5 * math.Erfc(-math.Log(edge/d.median)/(sigma*math.Sqrt2))
	case d.median <= edge:
		usual = 1
	}
	slow := 0.0
	if d.slow <= edge {
		slow = 1
	}
	share := (1-d.slowShare)*usual + d.slowShare*slow
	switch {
	case share < negligible:
		return 0
	case share > 1-negligible:
		return 1
	}
	return share
}

func (d distribution) mean() float64 {
	sigma := d.sigma()
	return (1-d.slowShare)*d.median*math.Exp(sigma*sigma/2) + d.slowShare*d.slow
}

// histogram keeps the expected number below each edge; what it shows is that,
// rounded. As the expectations never fall and are ordered, so are the counts.
type histogram struct {
	expected [len(bucketEdges)]float64
	count    uint64
	sum      float64
}

func (h *histogram) add(n uint64, d distribution) {
	if n == 0 {
		return
	}
	h.count += n
	h.sum += float64(n) * d.mean()
	for i, edge := range bucketEdges {
		h.expected[i] += float64(n) * d.below(edge)
	}
}

func (h *histogram) bucket(i int) uint64 {
	return min(h.count, uint64(math.Round(h.expected[i])))
}
