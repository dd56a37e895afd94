# An SMSC on Debian's Net::SMPP 1.19 (libnet-smpp-perl) for TestRealNetSMPP…: takes
# every bind and message over plain TCP, gives message ids in hexadecimal, and sends a
# delivery receipt with the id in decimal, in its text only.
#
#	perl net-smpp-smsc.pl
#
# It listens on a free port of the loopback interface and writes a line of JSON to
# stdout for all that happens: {"event":"listening","port":40123}, then "bind",
# "message" and "answer" (to a receipt). It serves one connection after the other and
# ends when it is killed.
use strict;
use warnings;
use Net::SMPP;

$| = 1;
sub say_json {
    my %h = @_;
    print '{' . join(',', map { "\"$_\":" . ($h{$_} =~ /^[1-9]\d{0,8}$|^0$/ ? $h{$_} : "\"$h{$_}\"") } sort keys %h) . "}\n";
}

my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34, async => 1, timeout => 60)
    or die "listen: $!";
say_json(event => 'listening', port => $listener->sockport);

my $id = 0x1A2B3C00;
while (1) {
    my $c = $listener->accept or next;
    while (my $pdu = $c->read_pdu) {
        my $cmd = $pdu->{cmd};
        if ($cmd == 1 || $cmd == 2 || $cmd == 9) {
            say_json(event => 'bind', systemid => $pdu->{system_id});
            my $answer = { 1 => 'bind_receiver_resp', 2 => 'bind_transmitter_resp', 9 => 'bind_transceiver_resp' }->{$cmd};
            $c->set_version(0x34);
            $c->$answer(system_id => 'net-smpp', seq => $pdu->{seq});
        } elsif ($cmd == 4) {
            $id++;
            $c->submit_sm_resp(message_id => sprintf('%X', $id), seq => $pdu->{seq});
            say_json(event => 'message', id => sprintf('%X', $id), from => $pdu->{source_addr},
                to => '+' . $pdu->{destination_addr}, datacoding => $pdu->{data_coding},
                registered => $pdu->{registered_delivery}, udh => unpack('H*', $pdu->{short_message}));
            next unless $pdu->{registered_delivery};
            $c->deliver_sm(async => 1, source_addr => $pdu->{destination_addr}, destination_addr => $pdu->{source_addr},
                esm_class => 4, short_message => "id:$id sub:001 dlvrd:001 submit date:2602121430 " .
                "done date:2602121430 stat:DELIVRD err:000 text:");
        } elsif ($cmd == 0x80000005) {
            say_json(event => 'answer', status => $pdu->{status});
        } elsif ($cmd == 0x15) {
            $c->enquire_link_resp(seq => $pdu->{seq});
        } elsif ($cmd == 6) {
            $c->unbind_resp(seq => $pdu->{seq});
            last;
        }
    }
    close $c;
}
