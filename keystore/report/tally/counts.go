package tally

import (
	"cmp"
	"slices"
)

// counts counts by a key. Most have few, so that a map for each of very many would be waste.
type counts[K comparable] struct {
	keys  []K
	n     []int
	total int
	index map[K]int // when there are many
}

const fewCounts = 12

func (c *counts[K]) find(k K) int {
	if c.index != nil {
		if i, ok := c.index[k]; ok {
			return i
		}
		return -1
	}
	return slices.Index(c.keys, k)
}

func (c *counts[K]) add(k K, n int) {
	i := c.find(k)
	if i < 0 {
		i = len(c.keys)
		c.keys = append(c.keys, k)
		c.n = append(c.n, 0)
		if c.index != nil {
			c.index[k] = i
		} else if i == fewCounts {
			c.index = make(map[K]int)
			for j, k := range c.keys {
				c.index[k] = j
			}
		}
	}
	c.n[i] += n
	c.total += n
}

func (c *counts[K]) of(k K) int {
	if i := c.find(k); i >= 0 {
		return c.n[i]
	}
	return 0
}

func (c *counts[K]) len() int { return len(c.keys) }

func (c *counts[K]) sum() int { return c.total }

// capped returns the sum of the counts, of which none counts for more than most.
func (c *counts[K]) capped(most int) (sum int) {
	for _, n := range c.n {
		sum += min(n, most)
	}
	return sum
}

// most returns the keys with the highest counts first, and by order where those are equal.
func (c *counts[K]) most(order func(a, b K) int) []K {
	at := make([]int, len(c.keys))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(i, j int) int {
		return cmp.Or(cmp.Compare(c.n[j], c.n[i]), order(c.keys[i], c.keys[j]))
	})
	keys := make([]K, len(at))
	for i, j := range at {
		keys[i] = c.keys[j]
	}
	return keys
}
