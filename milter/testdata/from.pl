# Says which author domains Perl's modules read from a header.
#
# Each line of the input is a header in base64, each line of the answer a JSON
# object: the domains by module.
use strict;
use warnings;
use Encode ();
use JSON::PP ();
use MIME::Base64 ();
use Mail::Header ();
use Mail::Address ();
use Email::Address::XS ();

$| = 1;
my $json = JSON::PP->new->ascii->canonical;
local $SIG{__WARN__} = sub { };

sub text {
	my ($bytes) = @_;
	return eval { Encode::decode('UTF-8', $bytes, Encode::FB_CROAK | Encode::LEAVE_SRC) } // $bytes;
}

sub domains {
	my ($class, $parse, @values) = @_;
	my @hosts = eval { map { $_->host } map { $parse->($_) } @values };
	return [ map { text($_) } grep { defined && length } @hosts ];
}

while (my $line = <STDIN>) {
	my @lines = split /(?<=\n)/, MIME::Base64::decode_base64($line);
	my @values = eval { Mail::Header->new(\@lines)->get('From') };
	print $json->encode({
		'Mail::Address' => domains('Mail::Address', sub { Mail::Address->parse(@_) }, @values),
		'Email::Address::XS' => domains('Email::Address::XS', sub { Email::Address::XS->parse(@_) }, @values),
	}), "\n";
}
