# Verify every signature of the messages in the files named on the command
# line. One line per signature: file, d=, s=, a=, pass or what is wrong.
use strict;
use warnings;
use Mail::DKIM::Verifier;

for my $path (@ARGV) {
	open my $in, '<:raw', $path or die "$path: $!\n";
	my $verifier = Mail::DKIM::Verifier->new;
	while (my $line = <$in>) { $verifier->PRINT($line); }
	close $in;
	$verifier->CLOSE;
	for my $signature ($verifier->signatures) {
		print join("\t", $path, $signature->domain, $signature->selector,
			$signature->algorithm, $signature->result_detail), "\n";
	}
}
