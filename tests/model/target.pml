/* The target, its ledger and lock, and what must hold after every COMMIT (A1). */
byte cnt[NROWS];                       /* multiplicity of each source row in the target */
byte l_last, l_gen, l_hi, l_seq;       /* the ledger's head */
short l_hist;                          /* the ledger's rows: a bit per batch id */
byte lock;                             /* LOCK led_head */
byte gtn, gtp[2];                   /* a COMMIT in flight, its client gone: how many batches, which */
#ifdef VERSIONS
bit  tv[NROWS];                        /* the version of each row in the target */
byte cov;                              /* ghost: the rows that the ledger's batches say, a bit each */
byte l_max;                            /* greatest position among the ledger's rows of this generation */
#endif
#ifdef SETWM
bit  corrected;                        /* the source's rows were changed where no cursor sees it */
bit  gone;                             /* and its last row was deleted */
#endif
#ifdef NEWCLUSTER
bit  renewed;                          /* the cluster was replaced by an empty one */
#endif
#ifdef TWO
byte l_feed;                           /* the pipeline that the ledger's head names; 0: no head yet */
byte other;                            /* rows of the other pipeline in the target */
bit  other_in;                         /* its batch is in the ledger */
bit  other_flies, other_rep; byte other_gen;
#endif

#ifdef SETWM
#define IN(b,r) (!(gone && b_v[b] && (r) == NROWS - 1))  /* the batch has this row of its range */
#else
#define IN(b,r) 1
#endif

/* One batch's rows meet the target: Y7, Y8. */
inline rows_of(LB) {
#ifdef VERSIONS
  hj = 0;
  do
  :: hj < NROWS ->
     if :: b_rep[LB] -> cnt[hj] = 0; tv[hj] = 0; cov = cov & ~(1 << hj) :: else fi;
     if
     :: hj >= b_lo[LB] && hj < b_hi[LB] ->
        if
#ifdef WINROWS
        :: b_win[LB] && IN(LB, hj) -> cnt[hj] = 0
#else
        :: b_win[LB] -> cnt[hj] = 0
#endif
        :: else
        fi;
        if :: b_win[LB] -> cov = cov & ~(1 << hj) :: else fi;
        if
        :: IN(LB, hj) ->
#ifdef MERGE
           cnt[hj] = 1;
#else
           cnt[hj]++;
#endif
           tv[hj] = b_v[LB]; cov = cov | (1 << hj)
        :: else
        fi
     :: else
     fi;
     hj++
  :: else -> break
  od;
  l_max = ((b_rep[LB] || b_gen[LB] != l_gen) -> b_hi[LB] : MAX(l_max, b_hi[LB]));
#else
  if :: b_rep[LB] -> hj = 0; do :: hj < NROWS -> cnt[hj] = 0; hj++ :: else -> break od :: else fi;
  hj = b_lo[LB];
  do :: hj < b_hi[LB] -> cnt[hj]++; hj++ :: else -> break od;
#endif
  hj = 0
}

inline check_target() {                                                              /* A1 */
  hj = 0;
  do
#ifdef VERSIONS
  :: hj < NROWS -> assert(cnt[hj] == ((cov >> hj) & 1)); hj++
#else
  :: hj < NROWS -> assert(cnt[hj] == (hj < l_hi -> 1 : 0)); hj++
#endif
  :: else -> break
  od;
#ifdef TWO
  assert(l_feed == 1 && other == 0);
#endif
  hj = 0
}

/* COMMIT takes effect: Y5..Y9 once for each batch of the chain, Y10 once. */
inline commit_load(LA, LZ, LN) {
  hi = 0;
  do
  :: hi < LN ->
     hb = (hi == 0 -> LA : LZ);
     rows_of(hb);
#ifdef LASTONLY
     if :: hi == LN - 1 -> l_hist = l_hist | (1 << hb) :: else fi;
#else
     l_hist = l_hist | (1 << hb);
#endif
     l_gen = b_gen[hb];
     l_last = hb; l_seq = b_seq[hb];
#ifdef VERSIONS
     l_hi = b_pos[hb];
#else
     l_hi = b_hi[hb];
#endif
     hi++
  :: else -> break
  od;
  FEEDS(1);
  check_target();
  hi = 0
}

inline check_source() {                                                            /* A5 */
  hj = 0;
  do
  :: hj < NROWS ->
#ifdef SETWM
     if
     :: (S.sk >> hj) & 1                                                            /* skipped, as --skip-rows was told */
     :: else ->
        if
        :: corrected && gone && hj == NROWS - 1 -> assert(cnt[hj] == 0 || !((S.aud >> hj) & 1))
        :: else -> assert(cnt[hj] == 1);
           assert(tv[hj] == 1 || !((S.aud >> hj) & 1))                              /* asked for again after the correction */
        fi
     fi;
#else
     assert(cnt[hj] == 1);
#endif
     hj++
  :: else -> break
  od;
  hj = 0
}
