# An ESME on Perl's Net::SMPP 1.19 for TestRealNetSMPP: binds as transceiver, submits
# messages by submit_sm and by data_sm, asks for the state of one, tries what the
# server does not serve, awaits receipts and a message from a phone, and unbinds.
#
#	perl perl-esme.pl port count
#
# In the end it writes one line of JSON to stdout.
use strict;
use warnings;
use Net::SMPP;

my ($port, $count) = @ARGV;
my (%waiting, %early, @texts);
my %result = (accepted => 0, refused => 0, receipts => 0, unmatched => 0);

my ($smpp, $bound) = Net::SMPP->new_transceiver('127.0.0.1', port => $port, system_id => 'bank',
	password => 'secret', smpp_version => 0x34, interface_version => 0x34) or die "cannot connect: $!";
$result{bind} = $bound->{status};

# Requests of the server that come while a response is awaited.
${*$smpp}{handlers}->{Net::SMPP::CMD_deliver_sm} = sub {
	my ($me, $pdu) = @_;
	$me->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
	if ($pdu->{esm_class} == 0) {
		push @texts, $pdu->{short_message};
		return;
	}
	$result{receipts}++;
	my ($id) = $pdu->{short_message} =~ /^id:(\S+) .* stat:DELIVRD /;
	$result{unmatched}++ unless defined $id;
	$early{$id} = 1 unless delete $waiting{$id // ''};
};

my %to = (source_addr_ton => 5, source_addr_npi => 0, source_addr => 'MyBank', dest_addr_ton => 1, dest_addr_npi => 1);

sub note {
	my ($pdu) = @_;
	if ($pdu->{status}) {
		$result{refused}++;
		return;
	}
	$result{accepted}++;
	$waiting{$pdu->{message_id}} = 1 unless delete $early{$pdu->{message_id}};
	$result{first} //= $pdu->{message_id};
}

for my $i (0 .. $count - 1) {
	my @how = (registered_delivery => 1, validity_period => '000000000500000R', destination_addr => sprintf('4479111%05d', $i));
	if ($i % 2) {
		note($smpp->data_sm(%to, @how[0, 1, 4, 5], data_coding => 0x18, message_payload => pack('n*', unpack('C*', "$i is your code"))));
	} else {
		note($smpp->submit_sm(%to, @how, short_message => "$i is your code"));
	}
}
my $state = $smpp->query_sm(message_id => $result{first}, source_addr_ton => 5, source_addr => 'MyBank');
@result{qw(query state final)} = @$state{qw(status message_state final_date)};
$result{replace} = $smpp->replace_sm(message_id => $result{first}, source_addr => 'MyBank', short_message => 'x')->{status};
$result{expired} = $smpp->submit_sm(%to, destination_addr => '447911100000', validity_period => '200101000000000+',
	short_message => '482910')->{status};
$result{alive} = $smpp->enquire_link()->{status};

while (%waiting || !@texts) { # the rest of the receipts
	my $pdu = $smpp->read_pdu() or die 'connection lost';
	${*$smpp}{handlers}->{$pdu->{cmd}}->($smpp, $pdu) if ${*$smpp}{handlers}->{$pdu->{cmd}};
}
$result{unmatched} += keys %early;
$result{unbind} = $smpp->unbind()->{status};

delete $result{first};
$result{final} =~ tr/\0//d;
print '{', join(',', (map { qq("$_":) . ($result{$_} =~ /^\d+$/ ? $result{$_} : qq("$result{$_}")) } sort keys %result),
	qq("text":"@texts")), "}\n";
