package smpp_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]smpp.Config{
		"Config.Addr":     {},
		"Config.Addrs[1]": {Addrs: []string{"b.example:1", "b.example"}},
		"Config.Binds":    {Addrs: []string{"b.example:1"}, Binds: 1},
		"Config.Version":  {Version: 0x33},
		"Config.Credentials": {SystemID: "bank",
			Credentials: func(context.Context) (string, string, error) { return "", "", nil }},
		"Config.MaxSession":           {MaxSession: -1},
		"Config.SystemID":             {SystemID: "a\x00b"},
		"Config.Password":             {Password: strings.Repeat("p", 65)},
		"Config.SystemType":           {SystemType: "thirteenchars"},
		"Config.Sender":               {Sender: "Ünited"},
		"Config.TPS":                  {TPS: -1},
		"Config.ServiceType":          {ServiceType: "sixsix"},
		"Config.Senders: \"44\"":      {Senders: map[string]string{"44": "MyBank"}},
		"Config.Senders[\"+44\"]":     {Senders: map[string]string{"+44": "Twelve chars"}},
		"Config.Codings[1]":           {Codings: []smpp.Coding{{}, {Encoding: 9}}},
		"Config.Long":                 {Long: 9},
		"Config.Priority":             {Priority: 4},
		"Config.TLVs":                 {TLVs: []smpp.TLV{{Tag: 0x0424}}},
		"Config.Classes[0x00]":        {Classes: map[smpp.Status]channel.Class{smpp.StatusOK: channel.Unreachable}},
		"Config.Classes[0x0B]":        {Classes: map[smpp.Status]channel.Class{smpp.StatusInvalidDestination: 99}},
		"Config.Window":               {Window: -1},
		"Config.ResponseTimeout":      {ResponseTimeout: -1},
		"Config.ReconnectMax":         {ReconnectMin: 2, ReconnectMax: 1},
		"Config.SubmitIDs":            {SubmitIDs: 9},
		"Config.DangerouslyPlaintext": {DangerouslyPlaintext: true, TLS: &tls.Config{}},
		"Config.StandbyAddrs[0]":      {StandbyAddrs: []string{"c.example"}},
		"Config.ReceiverAddr: set":    {ReceiverAddr: "c.example:2776"},
		"Config.TransmitterOnly":      {TransmitterOnly: true, Receipt: newReceipts().handle},
		"Config.TransmitterOnly: set": {TransmitterOnly: true, Pair: true},
		"Config.AddressRange":         {AddressRange: strings.Repeat("4", 41)},
		"Config.DestFormat":           {DestFormat: 9},
		"Config.National: \"44\"":     {DestFormat: smpp.DestNational, National: smpp.National{Country: "44"}},
		"Config.National: \"x\"":      {National: smpp.National{Trunk: "x"}},
		"Config.Validity":             {Validity: 9},
		"Config.MaxUnanswered":        {MaxUnanswered: -1},
		"Config.Receivers":            {Receivers: -1},
	} {
		if want != "Config.Addr" {
			c.Addr = "smsc.example:2776"
		}
		client, err := smpp.New(c)
		if err == nil {
			client.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "smpp: "+want) {
			t.Errorf("New: %v, want an error for %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pppp") {
			t.Errorf("New: error tells the password: %v", err)
		}
	}
}
