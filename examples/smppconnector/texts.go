package main

import (
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// maxBrands is the largest number of brands with cached wordings. A new one takes less
// than a millisecond.
const maxBrands = 100

// texts words codes under the brands of the accounts.
type texts struct {
	mu      sync.Mutex
	byBrand map[string]*wording.Set
}

func newTexts() *texts { return &texts{byBrand: make(map[string]*wording.Set)} }

// word fills in the texts of m. If no text can have the brand, for example because of
// a line break, the account's replaces it.
func (t *texts) word(m *channel.Message, a *account, region string) error {
	set, err := t.set(m.Sender)
	if err != nil {
		m.Sender = a.Sender
		if set, err = t.set(a.Sender); err != nil {
			return err
		}
	}
	if m.Language, err = set.Language(a.Language, region); err != nil {
		return err
	}
	life := m.Expires.Sub(m.Created) + 5*time.Second // some seconds have passed already
	text, err := set.Render(wording.Data{
		Language: m.Language, Code: m.Code, Minutes: int(min(max(life/time.Minute, 1), 10_080)),
	})
	m.Text, m.Subject, m.Body, m.HTML = text.SMS, text.Subject, text.Body, text.HTML
	return err
}

func (t *texts) set(brand string) (*wording.Set, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if set := t.byBrand[brand]; set != nil {
		return set, nil
	}
	set, err := wording.New(wording.Config{Brand: brand})
	if err != nil {
		return nil, err
	}
	if len(t.byBrand) >= maxBrands {
		clear(t.byBrand)
	}
	t.byBrand[brand] = set
	return set, nil
}
