/* The operator's commands that go on in the same tables: set-watermark without a wipe, and replay. */

#ifdef SETWM
/*
 * The source is corrected where no cursor sees it (rows changed, on an append target perhaps the
 * last one deleted), then the operator sets the watermark to any row, so that they are read again.
 */
proctype SetWatermark() {
  St L; St N; byte w; byte res; byte left = OVERRIDES; byte tries;

correct:
  atomic {
    if :: left > 0 -> left-- :: else -> goto done fi;
    tries = 2;
    if
    :: corrected
    :: else -> corrected = 1;
#ifdef WINDOWS
       if :: gone = 1 :: true fi
#endif
    fi;
    w = 0;
    do :: w < NROWS -> w++ :: break od
  }
set:
  atomic {
    res = 0; clr(N); cp(L, S);
    if
    :: tries == 0 || L.rep -> goto done
    :: w > L.wm ->
#ifndef SKIP
       goto done;                                                                   /* forward past unread rows: refused */
#endif
    :: else
    fi;
    tries--;
    cp(N, L); N.wm = w; N.ovr = L.ovr + 1;
    N.sk = (L.sk | (w > L.wm -> SPAN(L.wm, w) : 0)) & ~FROM(w);
    N.aud = (L.aud & ~(w > L.wm -> SPAN(L.wm, w) : 0)) | FROM(w);
#ifndef NOBUMP
    N.epoch = L.epoch + 1;                                                          /* fences the attempt that is under way */
#endif
#if defined(WINDOWS) && !defined(NOWINDOW)
#ifdef WINLOST
    N.win = L.wm;                                                                   /* naive: the second override forgets the first's window */
#else
    N.win = MAX(L.win, L.wm);
#endif
    if :: w >= N.win -> N.win = 0 :: else fi
#endif
  }
  put(N, L.ver);
  atomic {
    if
    :: res == OK -> clr(L); clr(N); goto correct
    :: res != OK && S.ovr > L.ovr && S.wm == w -> clr(L); clr(N); goto correct       /* its audit id is in: done */
    :: else -> goto set
    fi
  }
done:
  atomic { clr(L); clr(N); w = 0; running-- }
}
#endif

#ifdef REPLAY
#define REPN 2                         /* how many batches a replay takes at most */
#if REPLAY == 2
#define NEWGEN 1
#else
#define NEWGEN 0
#endif

/* Batch w[i] under a fresh id: its own rows, versions and mode, chained from `last`. */
inline copied(LG, LS, LW) {
  c = nb; nb++;
  b_lo[c] = b_lo[w[i]]; b_hi[c] = b_hi[w[i]]; b_v[c] = b_v[w[i]]; b_file[c] = 1;
#ifdef GC
  b_ep[c] = myep;
#endif
  b_par[c] = last; b_gen[c] = LG + NEWGEN; b_seq[c] = LS;
  b_rep[c] = (b_rep[w[i]] || (REPLAY == 2 && i == n - 1));
#if defined(WINDOWS) && !defined(APPENDAGAIN)
  b_win[c] = !b_rep[c];
#endif
#ifdef POSKEEP
  b_pos[c] = LW;                       /* naive: the position did not move, so the ledger is told S's */
#else
  b_pos[c] = b_pos[w[i]];
#endif
  e[i] = c; last = c; c = 0
}

/*
 * Batches that are in S3 already are loaded once more. Claim; walk back from S.last; copy each
 * under a fresh id and path; let all enter by one CAS. The watermark does not move.
 */
proctype Replay() {
  St L; St N; byte res, myep, n, i, c, last; byte w[REPN], e[REPN]; byte tries = 2;

#ifdef NEWCLUSTER
  atomic { lock == 0 && gtn == 0 -> renewed = 1;
    hj = 0; do :: hj < NROWS -> cnt[hj] = 0; tv[hj] = 0; hj++ :: else -> break od; hj = 0;
    l_last = 0; l_gen = 0; l_hi = 0; l_seq = 0; l_hist = 0; l_max = 0; cov = 0 }
#endif
begin:
  atomic { res = 0; clr(L); clr(N); n = 0; i = 0; last = 0; w[0] = 0; w[1] = 0; e[0] = 0; e[1] = 0;
    if :: tries > 0 -> tries-- :: else -> goto done fi;
    cp(L, S);
#ifdef NOCLAIM
    myep = L.epoch
  }
#else
    cp(N, L); N.epoch = L.epoch + 1
  }
  put(N, L.ver);
  atomic { if :: res == OK -> myep = N.epoch :: else -> goto begin fi; clr(N) }
#endif
  atomic {                                                                          /* walk */
    cp(L, S);
    if :: L.epoch != myep -> goto begin :: else fi;
#ifndef INREFRESH
    if :: L.rep -> goto done :: else fi;                                            /* refused while a full refresh is due */
#endif
    c = L.last;
#ifdef NOPENDING
    c = l_last;
#endif
    do
    :: c != 0 && n < REPN && !(n > 0 && b_rep[w[n - 1]]) -> w[n] = c; n++; c = b_par[c]
#if REPLAY == 1
    :: n > 0 -> break                                                               /* as far as the date */
#endif
    :: c == 0 || n == REPN || (n > 0 && b_rep[w[n - 1]]) -> break
    od;
#if REPLAY == 2
    if :: c != 0 && !b_rep[w[n - 1]] -> goto done :: else fi;                       /* a longer chain than this model takes */
#endif
    if :: n == 0 || L.np + n > MAXP || nb + n + RES > MAXB -> goto done :: else fi;
    last = L.last; i = n; c = 0; res = 0
  }
#ifdef ONEBYONE
  goto single;
#endif
  do                                                                                /* copy, oldest first */
  :: i > 0 ->
     atomic { i--;
       if :: !b_file[w[i]] -> goto done :: else fi;                                 /* s3clean has taken it: refused */
       copied(L.gen, L.seq + n - i, L.wm)
     }
     if :: true :: atomic { faults > 0 -> faults--; goto done } fi
  :: else -> break
  od;
enter:
  atomic { res = 0; cp(N, L);
#if REPLAY == 2
    N.gen = L.gen + NEWGEN; N.rep = 0;
    no_pending(N);                                                                  /* what was pending is among the copies */
#endif
    i = n;
    do :: i > 0 -> i--; N.p[N.np] = e[i]; N.np = N.np + 1 :: else -> break od;
    N.last = last; N.seq = b_seq[last];
#ifdef MOVES
    N.wm = b_hi[last];                                                              /* naive: as if they had just been extracted */
#endif
  }
  put(N, L.ver);
#ifdef BLINDREPLAY
  if :: res == FAIL -> atomic { cp(L, S); if :: L.np + n <= MAXP -> goto enter :: else fi } :: else fi;
#endif
#ifdef REBASE
  if
  :: res != OK ->
     atomic { cp(L, S);
       if
#ifdef NOCLAIM
       :: L.last == b_par[e[n - 1]] && L.seq + 1 == b_seq[e[n - 1]] && L.np + n <= MAXP && !L.rep -> goto enter
#else
       :: L.epoch == myep && L.last == b_par[e[n - 1]] && L.seq + 1 == b_seq[e[n - 1]] && L.np + n <= MAXP && !L.rep -> goto enter
#endif
       :: else
       fi }
  :: else
  fi;
#endif
  if :: res != OK -> goto begin :: else -> goto done fi;

#ifdef ONEBYONE
single:                                                                             /* naive: each enters by a CAS of its own */
  do
  :: i > 0 ->
     atomic { i--; cp(L, S); last = L.last; copied(L.gen - (i < n - 1 -> NEWGEN : 0), L.seq + 1, L.wm);
       cp(N, L); N.gen = b_gen[last]; N.rep = 0;
       if :: NEWGEN && i == n - 1 -> no_pending(N) :: else fi;
       N.p[N.np] = last; N.np = N.np + 1; N.last = last; N.seq = b_seq[last] }
     put(N, L.ver);
     if :: res != OK -> goto done :: else fi;
     if :: true :: atomic { faults > 0 -> faults--; goto done } fi
  :: else -> goto done
  od;
#endif
done:
  atomic { clr(L); clr(N); n = 0; last = 0; i = 0; c = 0; w[0] = 0; w[1] = 0; e[0] = 0; e[1] = 0; running-- }
}
#endif
