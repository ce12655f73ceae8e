# SPDX-License-Identifier: Apache-2.0
#
# Gives an httpd a long history: one job runs, httpd is stopped, and copies of
# its row are put into the store by SQL, with ids and times of their own, since to
# run a million would take ten minutes. Runs in bench/run, while no broker has the
# store open.

package Bench::History;

use strict;
use warnings;

use DBI ();

# Leaves httpd running.
sub fill {
    my ($httpd, $count) = @_;
    $httpd->ask('submit', argv => $httpd->program('tiny'), reply => 'finished', count => 1);
    $httpd->stop;
    $httpd->pair_gone(30) or die "the pair does not end\n";
    my $file = $httpd->{runtime} . '/spawn/store/jobs.db';
    my $db = DBI->connect("dbi:SQLite:dbname=$file", '', '', { RaiseError => 1 });
    $db->do('PRAGMA synchronous = OFF');
    my $columns = join ', ', grep { $_ ne 'seq' && $_ ne 'id' } map { $_->[1] } @{ $db->selectall_arrayref('PRAGMA table_info(job)') };
    my ($ended) = $db->selectrow_array('SELECT max(ended_at) FROM job');
    my $first = int(time) - $count / 1000;
    my $n = 0;
    # a UUIDv7, one for each millisecond up to now
    $db->sqlite_create_function('new_id', 0, sub {
        my $ms = 1000 * $first + $n++;
        return pack 'nNnnnN', $ms / 2**32, $ms & 0xffff_ffff, 0x7000 | int rand 4096, 0x8000 | int rand 16_384,
            rand 65_536, rand 2**32;
    });
    $db->begin_work;
    $db->do(sprintf <<'END', $columns, $count, $columns, $columns);
INSERT INTO job(id, %s)
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < %d)
SELECT cast(new_id() AS BLOB), %s FROM number, (SELECT %s FROM job LIMIT 1)
END
    my ($there) = $db->selectrow_array('SELECT count(*) FROM job');
    die "the history has $there jobs, not $count\n" if $there < $count;
    $db->commit;
    $db->disconnect;
    unlink map { "$file$_" } qw(-wal -shm);
    my ($uid, $gid) = ($httpd->uid, $httpd->gid);
    chown $uid, $gid, $file if $< == 0;
    $httpd->start;
    return;
}

1;
