package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// metrics counts the answers of the connector. Answers of the server itself, such as
// ESME_RTHROTTLED over the account's rate, are not counted.
type metrics struct {
	mu     sync.Mutex
	counts map[string]int
}

func (m *metrics) count(what string, s smpp.Status) { m.add(what + "." + s.String()) }

func (m *metrics) receipt(_ string, _ smppserver.DeliveryReceipt, err error) {
	if err != nil {
		m.add("receipt.lost")
		return
	}
	m.add("receipt.acknowledged")
}

func (m *metrics) add(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = make(map[string]int)
	}
	m.counts[name]++
}

// String returns one line.
func (m *metrics) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m.counts)) {
		words = append(words, fmt.Sprintf("%s=%d", name, m.counts[name]))
	}
	return strings.Join(words, " ")
}
