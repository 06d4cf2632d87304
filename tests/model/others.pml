/* s3clean, an operator who puts an old state back, a second pipeline, and the late network. */

#ifdef GC
#ifdef NAIVEGC
#define FENCED(b) (1)
#else
#define FENCED(b) ((b_ep[b] < T.epoch) || (HIST(b) == 1))      /* its epoch is over, or the ledger has it */
#endif

inline unreferenced(GB) {
  hi = 0; hj = 1;
  do :: hi < T.np -> if :: T.p[hi] == GB -> hj = 0 :: else fi; hi++ :: else -> break od
}

proctype Clean() {
  St T; byte b; byte n = 2;
  do
  :: n > 0 && nb > 1 ->
     atomic { n--; b = 1; do :: b + 1 < nb -> b++ :: break od; cp(T, S) }           /* list, then GET state */
     atomic {
       unreferenced(b);
       if
       :: (b_file[b] == 1) && hj && FENCED(b) -> b_file[b] = 0; b_ep[b] = 0
       :: else -> b = 0
       fi; hi = 0; hj = 0 }
     atomic { check_state(); b = 0; clr(T) }
  :: break
  od;
  atomic { running-- }
}
#endif

#ifdef ROLLBACK
St BK;
proctype PutBack() {
  atomic { cp(BK, S) }
  atomic { cp(S, BK); running-- }                                                   /* byte for byte: the old ETag is back */
}
#endif

#ifdef TWO
/*
 * Another pipeline is configured for the same target. Its state and batches are its own (they are
 * as safe as ours); here are the loads of its one batch: its first, or a full refresh's.
 */
inline other_commits() {
  if
  :: other_rep -> hj = 0; do :: hj < NROWS -> cnt[hj] = 0; hj++ :: else -> break od; other = 0
  :: else
  fi;
  other++; other_in = 1; l_last = MAXB; l_gen = other_gen; l_hi = 0; l_seq = 1;
  FEEDS(2);
  assert(l_feed == 2 && other == 1);                                                /* A1, of the target's one feeder */
  hj = 0; do :: hj < NROWS -> assert(cnt[hj] == 0); hj++ :: else -> break od; hj = 0
}

proctype OtherPipeline() {
  byte tries = 2; byte q_feed, q_last, q_gen; bit q_in;

  atomic { if :: true :: other_rep = 1; other_gen = 1 fi }
again:
  if :: tries > 0 -> tries-- :: else -> goto done fi;
#ifdef FEEDEARLY
  atomic { q_feed = l_feed };
  atomic { lock == 0 -> lock = 1; q_last = l_last; q_gen = l_gen; q_in = other_in };
#else
  atomic { lock == 0 -> lock = 1; q_feed = l_feed; q_last = l_last; q_gen = l_gen; q_in = other_in };
#endif
  atomic {
    if
#ifdef FEEDREPLACE
    :: q_feed == 1 && !other_rep -> lock = 0; goto done                             /* naive: who replaces all need not ask */
#elif !defined(NOFEEDER)
    :: q_feed == 1 -> lock = 0; goto done                                           /* exit 2, naming the feeder */
#endif
    :: q_in -> lock = 0; goto done
    :: else ->
       if
       :: other_gen == q_gen && q_last == 0
       :: other_gen > q_gen && other_rep
       :: else -> lock = 0; goto done                                               /* diverged: stops */
       fi
    fi
  }
  if :: true :: atomic { faults > 0 -> faults--; lock = 0; goto again } fi;
  atomic {
    if
    :: other_commits(); lock = 0; goto done
    :: faults > 0 -> faults--; other_commits(); lock = 0; goto again
    :: faults > 0 -> faults--; lock = 0; goto again
    :: faults > 0 -> faults--; other_flies = 1; goto again
    fi
  }
done:
  atomic { running-- }
}
#endif

active proctype Net() {
  byte res;
end:
  do
  :: atomic { gpon -> gpon = 0; if :: apply(gp, gpv); check_state() :: true fi; clr(gp); gpv = 0; res = 0 }
  :: atomic { gtn != 0 -> if :: commit_load(gtp[0], gtp[1], gtn) :: true fi; gtn = 0; gtp[0] = 0; gtp[1] = 0; lock = 0 }
#ifdef TWO
  :: atomic { other_flies -> if :: other_commits() :: true fi; other_flies = 0; lock = 0 }
#endif
  od
}
