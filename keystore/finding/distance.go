package finding

// Distance is the number of letters to insert, drop, change, or swap with the next,
// to come from a to b.
func Distance(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// Nearest returns the word that is the fewest letters away from another, at most
// limit, and not the same; "" for none.
func Nearest(word string, words []string, limit int) string {
	best := ""
	for _, w := range words {
		if d := Distance(word, w); d <= limit && d > 0 {
			best, limit = w, d-1
		}
	}
	return best
}

// Meant returns the one of some words that whoever typed another perhaps meant: a
// letter in three may be wrong. It is "" for none.
func Meant(typed string, words []string) string {
	return Nearest(typed, words, max(1, len(typed)/3))
}
