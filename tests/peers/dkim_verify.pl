#!/usr/bin/perl
# Verifies the DKIM signatures of mails in a folder by Mail::DKIM, with the keys that lie beside them.
# It knows RSA only; dkim_verify.py is for Ed25519, too.
# Usage: dkim_verify.pl FOLDER      prints a line for each mail that fails; status 1 when one does
use strict;
use warnings;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;

my $folder = shift @ARGV or die "usage: dkim_verify.pl FOLDER\n";

# A stand-in for DNS: TXT records are files.
package Records {
	sub new { bless {}, shift }
	sub send { my ($self, $name) = @_; $self->query($name) }

	sub query {
		my ($self, $name) = @_;
		open(my $f, '<', "$folder/$name") or return Answer->new(undef);
		local $/;
		Answer->new(scalar <$f>);
	}
	sub errorstring { 'NXDOMAIN' }
}
package Answer {
	sub new { my ($class, $text) = @_; bless { text => $text }, $class }
	sub answer { my $self = shift; defined $self->{text} ? Record->new($self->{text}) : () }
	sub header { Head->new }
}
package Record {
	sub new { my ($class, $text) = @_; bless { text => $text }, $class }
	sub type { 'TXT' }
	sub txtdata { my $self = shift; wantarray ? ($self->{text}) : $self->{text} }
	sub char_str_list { my $self = shift; ($self->{text}) }
}
package Head { sub new { bless {}, shift } sub rcode { 'NOERROR' } sub ad { 0 } }

package main;
Mail::DKIM::DNS::resolver(Records->new);

sub verify {
	my ($mail) = @_;
	my $v = Mail::DKIM::Verifier->new;
	$v->PRINT($mail);
	$v->CLOSE;
	return $v->result;
}

my ($mails, $failures) = (0, 0);
for my $path (sort glob "$folder/dkim-rsa-*.eml") {
	open(my $f, '<:raw', $path) or die "$path: $!\n";
	my $mail = do { local $/; <$f> };
	my $changed = $mail =~ s/\r\n\r\n/\r\n\r\nanother /r;
	$mails++;
	for my $try (['as it is', $mail, 'pass'], ['another body', $changed, 'fail']) {
		my ($name, $text, $wanted) = @$try;
		my $said = verify($text);
		next if $said eq $wanted;
		$failures++;
		print "FAIL  $path, $name: $said\n";
	}
}
print "$mails mails, $failures failures\n";
exit($failures || !$mails ? 1 : 0);
