package postfix

import (
	"fmt"
	"strings"
)

// diffContext is how many unchanged lines are shown around a change.
const diffContext = 2

// diff shows what changes between two files, in the unified format.
func diff(before, after []string) string {
	shownBefore, shownAfter := hideSecrets(before), hideSecrets(after)
	common := longestCommon(before, after)
	var b strings.Builder
	var keep []string // unchanged lines that are not shown yet
	i, j, open := 0, 0, false
	for _, match := range append(common, [2]int{len(before), len(after)}) {
		if i < match[0] || j < match[1] {
			if !open {
				keep = keep[max(0, len(keep)-diffContext):]
				fmt.Fprintf(&b, "@@ -%d +%d @@\n", i-len(keep)+1, j-len(keep)+1)
			}
			writeLines(&b, " ", keep)
			writeLines(&b, "-", shownBefore[i:match[0]])
			writeLines(&b, "+", shownAfter[j:match[1]])
			keep, open = nil, true
		}
		i, j = match[0]+1, match[1]+1
		if match[0] < len(before) {
			keep = append(keep, shownBefore[match[0]])
		}
		if open && len(keep) > 2*diffContext {
			writeLines(&b, " ", keep[:diffContext])
			keep, open = keep[diffContext:], false
		}
	}
	if open {
		writeLines(&b, " ", keep[:min(len(keep), diffContext)])
	}
	return b.String()
}

func writeLines(b *strings.Builder, mark string, lines []string) {
	for _, line := range lines {
		b.WriteString(mark + strings.TrimRight(line, "\r\n") + "\n")
	}
}

// longestCommon returns the pairs of indexes of lines that stay, by the
// textbook table for the longest common subsequence. For files that are too
// long for that only the lines at both ends stay.
func longestCommon(a, b []string) [][2]int {
	var pairs, tail [][2]int
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		pairs = append(pairs, [2]int{start, start})
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	for k := 0; endA+k < len(a); k++ {
		tail = append(tail, [2]int{endA + k, endB + k})
	}
	a, b = a[start:endA], b[start:endB]
	if len(a)*len(b) > 1<<24 {
		return append(pairs, tail...)
	}
	// length[i][j] is that of the longest one of a[i:] and b[j:].
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			pairs = append(pairs, [2]int{start + i, start + j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return append(pairs, tail...)
}
