package redisstore

import (
	"slices"
	"testing"
)

func TestEntryOrder(t *testing.T) {
	t.Parallel()
	order := []string{"999-0", "1000-2", "1000-10", "1001-0", "1001-9", "1001-11"}
	for i, id := range order {
		for j, other := range order {
			got := streamEntry{id: id}.compare(streamEntry{id: other})
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", id, other, got)
			}
		}
	}
	batch := []result{{streamEntry: streamEntry{1, "5-10"}, verb: verbDone}, {streamEntry: streamEntry{2, "4-0"}, verb: "again", job: "j"}, {streamEntry: streamEntry{1, "5-9"}, verb: verbDone}}
	want := []any{2, 0, 0, "5-9", "5-10", int64(2), "4-0", "again", "j"}
	if got := settlement(batch)[1:]; !slices.Equal(got, want) {
		t.Errorf("settlement %v, want %v", got, want)
	}
}
