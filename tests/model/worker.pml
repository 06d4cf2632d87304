/* A daemon, a command that only loads, a full refresh; and the fresh daemon that recovers all. */

#define CRASHABLE  if :: true :: atomic { (faults > 0 && !recovery) -> faults--; goto crashed } fi
#ifdef TAMPERED
#ifdef ROLLBACK
#define MAY_DIVERGE 1
#else
#define MAY_DIVERGE renewed
#endif
#else
#define MAY_DIVERGE 0                  /* cannot happen unless someone brought them apart */
#endif

#define SELECT_HEAD \
  q_last = l_last; q_gen = l_gen; q_hist = l_hist; q_seq = l_seq
#ifdef TWO
#define SELECT_FEEDER q_feed = l_feed
#define FORGET_FEEDER q_feed = 0
#else
#define SELECT_FEEDER skip
#define FORGET_FEEDER skip
#endif
/* What will not be read again is set to 0: states that differ in it alone are one. */
#define FORGET_HEAD \
  q_last = 0; q_gen = 0; q_hist = 0; q_seq = 0; FORGET_FEEDER
/* An attempt that is in no state and on no way into one; where a PUT is repeated nobody knows that. */
#if defined(REBASE) || defined(BLIND) || defined(NOCAS)
#define NEVER_WAS(NB) skip
#else
#define NEVER_WAS(NB) b_lo[NB] = 0; b_hi[NB] = 0; b_par[NB] = 0; b_gen[NB] = 0; b_seq[NB] = 0; b_rep[NB] = 0
#endif

/* watermark reconcile: the ledger is the second copy of the truth */
inline reconciled(RN, RL) {
  cp(RN, RL); no_pending(RN);
  RN.wm = l_hi; RN.last = l_last; RN.seq = l_seq; RN.gen = l_gen; RN.rep = 0; RN.epoch = RL.epoch + 1;
#ifdef SETWM
  RN.aud = 0; RN.sk = 0; RN.ovr = RL.ovr + 1;
#endif
#ifdef WINDOWS
#ifdef HEADONLY
  RN.win = 0;                          /* naive: the head's row alone says what is loaded */
#else
  RN.win = (l_max > l_hi -> l_max : 0);
#endif
#endif
}

proctype Worker(bit recovery; bit extract; bit reset) {
  St L; St N; byte b; byte res; byte myep; byte claims = CLAIMS;
  byte q_last, q_gen, q_seq; short q_hist;
#ifdef TWO
  byte q_feed;
#endif
#ifdef MULTI
  byte k;
#else
#define k 1
#endif
  bit did = 0;

  if :: recovery -> (running == 0) :: else fi;

claim:
  atomic { b = 0; clr(N); clr(L); myep = 0; res = 0; FORGET_HEAD;
           if :: recovery :: !recovery && claims > 0 -> claims-- :: else -> goto done fi;
           cp(L, S); cp(N, L); N.epoch = L.epoch + 1
#ifdef REBASE
           if :: !extract && !reset && !recovery -> clr(N); myep = L.epoch; goto loop :: else fi   /* load-only: no claim */
#endif
         }
  put(N, L.ver);
  atomic { if :: res == OK -> myep = N.epoch :: else -> goto claim fi; clr(N) }

#ifdef CLI_RESET
  if
  :: reset && !did ->
     atomic { cp(L, S); if :: L.epoch != myep -> goto claim :: else fi;
       cp(N, L); N.wm = 0; no_pending(N); N.gen = L.gen + 1;
#ifdef WINDOWS
       N.win = 0;
#endif
#ifdef SETWM
       N.sk = 0; N.aud = 0;
#endif
#ifdef RESETOUT
       N.rep = 0
#else
       N.rep = 1
#endif
     }
     put(N, L.ver);
     atomic { clr(N); if :: res == OK -> did = 1 :: else -> goto claim fi }
#ifdef RESETOUT
     /* naive: empty the target in a transaction of its own, not fenced by the ledger */
     atomic { lock == 0 -> hj = 0; do :: hj < NROWS -> cnt[hj] = 0; hj++ :: else -> break od; hj = 0; l_hi = 0; l_gen = S.gen }
#endif
  :: else
  fi;
#endif

loop:
  atomic { b = 0; res = 0; clr(N); FORGET_HEAD; cp(L, S);                           /* X1 */
#ifdef REBASE
    if :: !extract && !reset && !recovery -> myep = L.epoch :: else fi;
#endif
#ifndef NOEPOCH
    if :: L.epoch != myep -> goto claim :: else fi;                                 /* fenced */
#endif
    if
    :: extract && L.np < 2 && L.wm < NROWS && (recovery || nb + RES < MAXB) && nb < MAXB ->
       /* X2..X7: read rows [wm, hi), upload parts and manifest under a fresh id */
       b = nb; nb++;
       b_lo[b] = L.wm; b_par[b] = L.last; b_gen[b] = L.gen; b_rep[b] = L.rep; b_seq[b] = L.seq + 1; b_file[b] = 1;
#ifdef GC
       b_ep[b] = myep;
#endif
       if
       :: b_hi[b] = NROWS
       :: L.wm + 1 < NROWS -> b_hi[b] = L.wm + 1
       fi;
#ifdef VERSIONS
       b_pos[b] = b_hi[b];
#endif
#ifdef SETWM
       b_v[b] = corrected;
#endif
#ifdef WINDOWS
       b_win[b] = (L.wm < L.win && !L.rep);
#endif
       goto commit
    :: L.np > 0 -> goto load
    :: L.np == 0 && L.wm == NROWS -> goto done
    :: !recovery -> goto done
    fi
  }

commit:                                                                            /* X8 */
  if :: true :: atomic { (faults > 0 && !recovery) -> faults--; NEVER_WAS(b); goto crashed } fi;
  atomic { cp(N, L); N.wm = b_hi[b]; N.last = b; N.seq = b_seq[b]; N.rep = 0; N.p[N.np] = b; N.np = N.np + 1;
#ifdef WINDOWS
    if :: N.wm >= N.win -> N.win = 0 :: else fi
#endif
  }
again:
  put(N, L.ver);
#ifdef BLIND
  if :: res == FAIL -> atomic { L.ver = S.ver }; goto again :: else fi;             /* "just take the new ETag" */
#endif
#ifdef REBASE
  /* 412 / unknown: read again; only if every precondition still holds, apply the same delta to the new base */
  if
  :: res != OK ->
     atomic { cp(L, S);
       if
       :: L.epoch == myep && L.last == b_par[b] && L.gen == b_gen[b] && L.seq + 1 == b_seq[b] && L.rep == b_rep[b] &&
          L.np < 2 && b_hi[b] > L.wm -> goto commit
       :: else
       fi }
  :: else
  fi;
#endif
#ifdef CLEANUP
  atomic { if :: res != OK -> b_file[b] = 0; check_state() :: else fi };            /* "it failed, tidy up" */
#endif
#ifdef RECHECKCUR
  /* after a lost answer look only at the CURRENT state; if it is not mine, call it failed and tidy up */
  atomic { if :: res == UNK && S.last != b -> b_file[b] = 0; check_state() :: else fi };
#endif
  atomic {
    if :: res == FAIL -> NEVER_WAS(b) :: else fi;
    if :: goto loop :: faults > 0 && !recovery -> faults--; goto crashed fi
  }

load:
  atomic { b = L.p[0]
#ifdef MULTI
    if :: k = 1 :: L.np > 1 -> k = L.np fi
#endif
  }
#ifdef FEEDEARLY
  atomic { SELECT_FEEDER };                                                         /* naive: the feeder is looked up before the lock */
#endif
#ifdef SNAPFIRST
  atomic { SELECT_HEAD; SELECT_FEEDER };                                            /* SELECT before LOCK: old snapshot */
  atomic { lock == 0 -> lock = 1 }
#else
#ifdef NOLOCK
  atomic { SELECT_HEAD; SELECT_FEEDER }
#else
#ifdef FEEDEARLY
  atomic { lock == 0 -> lock = 1; SELECT_HEAD }
#else
  atomic { lock == 0 -> lock = 1; SELECT_HEAD; SELECT_FEEDER }                      /* Y2, Y3, Y4 */
#endif
#endif
#endif
  atomic {
#ifdef TWO
#ifndef NOFEEDER
    if :: q_feed == 2 -> lock = 0; goto refused :: else fi;
#endif
#endif
    if
#ifndef NOLEDGER
#ifdef SEQONLY
    :: b_gen[b] == q_gen && b_seq[b] <= q_seq -> lock = 0; goto mark
#else
    :: (q_hist >> b) & 1 -> lock = 0; goto mark                                     /* already loaded */
#endif
    :: else ->
#else
    :: true ->
#endif
       if
       :: !b_file[b] -> lock = 0; goto diverged                                     /* COPY: mandatory file missing */
#ifdef NOLEDGER
       :: b_file[b]
#else
#ifdef SEQONLY
       :: b_file[b] && b_gen[b] == q_gen && b_seq[b] == q_seq + 1
#else
       :: b_file[b] && b_gen[b] == q_gen && b_par[b] == q_last
#endif
       :: b_file[b] && b_gen[b] > q_gen && b_rep[b]
#ifdef RESETOUT
       :: b_file[b] && b_gen[b] > q_gen && !b_rep[b]
#endif
       :: else -> lock = 0; goto diverged
#endif
       fi
    fi;
#ifdef MULTI
    if                                                                              /* each of the chain is judged in its turn */
    :: k > 1 && (!b_file[L.p[1]] || b_gen[L.p[1]] != b_gen[b] || b_par[L.p[1]] != b) -> lock = 0; goto diverged
    :: else
    fi
#endif
  }
  if :: true :: atomic { (faults > 0 && !recovery) -> faults--; lock = 0; goto crashed } fi;   /* Y5..Y9 */
  atomic {                                                                          /* Y10, Y11 */
#ifdef BARRIER
    gtn == 0;                                                                       /* the head's row is locked by a ghost's UPDATE */
    if :: q_last != l_last || q_gen != l_gen -> lock = 0; goto loop :: else fi;     /* it was changed since the snapshot */
#endif
    if
    :: commit_load(b, L.p[1], k); lock = 0; res = OK
    :: faults > 0 -> faults--; commit_load(b, L.p[1], k); lock = 0; res = UNK             /* done, answer lost */
    :: faults > 0 -> faults--; lock = 0; res = UNK                                  /* tunnel fell first: server aborts */
    :: faults > 0 && gtn == 0 -> faults--; res = UNK; gtn = k; gtp[0] = b;          /* COMMIT in flight, lock still held */
#ifdef MULTI
       gtp[1] = (k > 1 -> L.p[1] : 0)
#endif
    fi
  }
  if :: res != OK -> goto loop :: else fi;                                          /* ask the ledger next pass */
  CRASHABLE;
#ifdef MULTI
  atomic { SELECT_HEAD };                                                           /* at or after our own COMMIT */
#ifdef SETTLEALL
  atomic { cp(L, S); cp(N, L); no_pending(N) };                                     /* naive: what is pending now must be what was loaded */
  put(N, L.ver);
  goto loop;
#endif
#endif
mark:                                                                               /* Y12 */
#ifdef MULTI
  atomic { cp(N, L);
    hi = 0; hj = 0;                                                                 /* pending -= all seq up to the head's, of its generation */
    do
    :: hi < L.np ->
       if
       :: b_gen[L.p[hi]] == q_gen && b_seq[L.p[hi]] <= q_seq
       :: else -> N.p[hj] = L.p[hi]; hj++
       fi; hi++
    :: else -> break
    od;
    N.np = hj; do :: hj < L.np -> N.p[hj] = 0; hj++ :: else -> break od; hi = 0; hj = 0;
    if :: N.np == L.np -> goto diverged :: else fi                                  /* nothing settled: the head is not of this state */
  }
#else
  atomic { cp(N, L); N.p[0] = N.p[1];
#if MAXP > 2
    N.p[1] = N.p[2]; N.p[2] = N.p[3]; N.p[3] = 0;
#else
    N.p[1] = 0;
#endif
    N.np = N.np - 1 }
#endif
  put(N, L.ver);
#ifdef BLIND
  if :: res == FAIL -> atomic { L.ver = S.ver }; goto mark2 :: else fi;
  goto loop;
mark2:
  put(N, L.ver);
#endif
  goto loop;

diverged:
  atomic {
    if
    :: S.ver != L.ver -> goto loop                                                  /* my view was old */
    :: else ->
       assert(MAY_DIVERGE);
       if :: !recovery -> goto done :: else fi;
       reconciled(N, L)
    fi
  }
  put(N, L.ver);
  goto claim;

#ifdef TWO
refused:                                                                            /* exit 2, naming the feeder */
  atomic {
    if :: !recovery -> goto done :: else fi;
    assert(l_feed == 2 && other == 1);
    hj = 0; do :: hj < NROWS -> assert(cnt[hj] == 0); hj++ :: else -> break od; hj = 0;
    goto ended
  }
#endif

crashed:
  if :: claims > 0 -> goto claim :: else fi;

done:
  atomic {
    if
    :: recovery && !(S.np == 0 && S.wm == NROWS) -> goto claim
    :: recovery && S.np == 0 && S.wm == NROWS ->
#ifdef TAMPERED
       if
       :: gtn == 0 && l_last != S.last ->                                           /* nothing pending, the ledger disagrees */
          cp(L, S); reconciled(N, L);
          apply(N, L.ver); goto claim
       :: else
       fi;
#endif
       check_source()                                                               /* A5 */
    :: else -> b = 0; clr(N); clr(L); myep = 0; res = 0; FORGET_HEAD; claims = 0; did = 0; running--
    fi
  }
ended:
  skip
}
