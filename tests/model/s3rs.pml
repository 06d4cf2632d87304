/*
 * The commit protocol of s3rs_async, for Spin 6.5: everything that commits, nothing that moves rows.
 *
 * S is a table's state object in S3, replaced whole by a conditional PUT. Batches are immutable
 * attempts under ids that are never used again. The target is the multiplicity (and version) of
 * each source row, beside its ledger and the ledger's lock. Processes (worker.pml, override.pml,
 * others.pml) share nothing but these: there is NO lease and NO clock, so every process may be a
 * zombie at every step. Faults are drawn from one budget, FAULTS, wherever the search likes: a
 * crash, a PUT whose answer is lost, that never arrives, or arrives later; a COMMIT whose answer is
 * lost, that never arrives, or is in flight with its client gone and the lock still held.
 *
 * Checked
 *   A1 after every COMMIT the target holds exactly the rows that the ledger's batches say, each once
 *   A2 the watermark never goes down within a generation, but by an override that is on record
 *   A3 every pending batch has its files, or is in the ledger
 *   A4 pending batches are one chain that goes on from the ledger; without overrides and replays
 *      they also tile what lies between the ledger's position and the watermark
 *   A5 from every quiescent state one fresh daemon ends with target == source, each row once, in
 *      the version that an override has asked for; no row is missing but those it has skipped
 *   "diverged" is reached only where an operator has put a state or a cluster back or away
 *   no process hangs (invalid end state)
 *
 * Parts (-D)      CLI_LOAD | CLI_RESET, GC, ROLLBACK, NEWCLUSTER, REBASE, MULTI, BARRIER,
 *                 ONE (one daemon, not two), SETWM, SKIP, OVERRIDES=n, REPLAY=1 (same ledger) | 2 (new
 *                 generation), MERGE (a merge target; else append), TWO (pipelines on one target)
 * Naive variants  are -D too; configurations.py says what each gets wrong.
 */
#ifndef NROWS
#define NROWS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CLAIMS
#define CLAIMS 2
#endif
#ifndef MAXB
#define MAXB 8           /* attempt ids 1..MAXB-1, the last RES kept for the recovery daemon */
#endif
#ifndef RES
#define RES 3
#endif
#ifndef OVERRIDES
#define OVERRIDES 1
#endif
#ifdef REPLAY
#define MAXP 4
#else
#define MAXP 2
#endif
#if defined(SETWM) || defined(REPLAY)
#define VERSIONS         /* rows are read again: by merge, or by replacing a window */
#endif
#if defined(VERSIONS) && !defined(MERGE)
#define WINDOWS          /* an append target: what is read again replaces what it was */
#endif
#if defined(ROLLBACK) || defined(NEWCLUSTER)
#define TAMPERED         /* an operator may bring state and ledger apart: "diverged" has a meaning */
#endif

#define HIST(b) ((l_hist >> (b)) & 1)  /* the ledger has a row of batch b */
#ifdef TWO
#define FEEDS(f) if :: l_feed == 0 -> l_feed = f :: else fi
#define FOREIGN  (l_feed == 2)
#else
#define FEEDS(f) skip
#define FOREIGN  0
#endif

#include "state.pml"
#include "target.pml"
#include "worker.pml"
#include "override.pml"
#include "others.pml"

init {
  atomic {
    running = 1; run Worker(0, 1, 0);
#ifndef ONE
    running++; run Worker(0, 1, 0);
#endif
#ifdef CLI_LOAD
    running++; run Worker(0, 0, 0);
#endif
#ifdef CLI_RESET
    running++; run Worker(0, 0, 1);
#endif
#ifdef GC
    running++; run Clean();
#endif
#ifdef ROLLBACK
    running++; run PutBack();
#endif
#ifdef SETWM
    running++; run SetWatermark();
#endif
#ifdef REPLAY
    running++; run Replay();
#endif
#ifdef TWO
    running++; run OtherPipeline();
#endif
    run Worker(1, 1, 0)                                    /* recovery, alone, at the end */
  }
}
