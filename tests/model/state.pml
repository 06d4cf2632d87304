/* The state object, its one primitive, and what must hold of it after every PUT (A2, A3, A4). */
#define OK 1
#define FAIL 2
#define UNK 3

typedef St {
  byte ver; byte epoch; byte gen; byte wm; byte last; byte seq; bit rep; byte np; byte p[MAXP];
#ifdef WINDOWS
  byte win;              /* replace_window.hi: up to there an append target already has rows */
#endif
#ifdef SETWM
  byte sk;               /* audit: rows that were skipped on purpose, a bit each */
  byte aud;              /* audit: rows that were asked for again after the source was corrected */
  byte ovr;              /* audit: how many overrides */
#endif
};
St S;                                  /* the object in S3 */

byte b_lo[MAXB], b_hi[MAXB], b_par[MAXB], b_gen[MAXB], b_ep[MAXB], b_seq[MAXB];
bit  b_rep[MAXB], b_file[MAXB];
#ifdef VERSIONS
bit  b_win[MAXB], b_v[MAXB];           /* replaces its window; the version of its rows */
byte b_pos[MAXB];                      /* what the ledger will call its position */
#endif
byte nb = 1;

St   gp; byte gpv; bit gpon;           /* a PUT in flight, its client gone */
byte faults = FAULTS;
byte running;                          /* ordinary processes still alive */
hidden byte hi, hj, hb;                   /* scratch inside one atomic step */

#define FULL      ((1 << NROWS) - 1)
#define FROM(r)   ((FULL << (r)) & FULL)
#define SPAN(a,z) (FROM(a) & ~FROM(z))
#define MAX(a,z)  ((a) > (z) -> (a) : (z))

inline cp(AA, ZZ) {
  AA.ver = ZZ.ver; AA.epoch = ZZ.epoch; AA.gen = ZZ.gen; AA.wm = ZZ.wm; AA.last = ZZ.last;
  AA.seq = ZZ.seq; AA.rep = ZZ.rep; AA.np = ZZ.np; AA.p[0] = ZZ.p[0]; AA.p[1] = ZZ.p[1];
#if MAXP > 2
  AA.p[2] = ZZ.p[2]; AA.p[3] = ZZ.p[3];
#endif
#ifdef WINDOWS
  AA.win = ZZ.win;
#endif
#ifdef SETWM
  AA.sk = ZZ.sk; AA.aud = ZZ.aud; AA.ovr = ZZ.ovr;
#endif
}

inline no_pending(CC) {
  CC.np = 0; CC.p[0] = 0; CC.p[1] = 0;
#if MAXP > 2
  CC.p[2] = 0; CC.p[3] = 0;
#endif
}

inline clr(CC) {
  CC.ver = 0; CC.epoch = 0; CC.gen = 0; CC.wm = 0; CC.last = 0; CC.seq = 0; CC.rep = 0;
  no_pending(CC);
#ifdef WINDOWS
  CC.win = 0;
#endif
#ifdef SETWM
  CC.sk = 0; CC.aud = 0; CC.ovr = 0;
#endif
}

/* S3 applies a PUT of NN that carries If-Match VV; res = OK | FAIL */
inline apply(NN, VV) {
#ifdef NOCAS
  if :: true ->
#else
  if
  :: S.ver != VV -> res = FAIL
  :: S.ver == VV ->
#endif
#ifndef ROLLBACK
#ifdef NEWCLUSTER
#elif defined(SETWM)
     assert(NN.gen > S.gen || NN.ovr > S.ovr || NN.wm >= S.wm);                       /* A2 */
#else
     assert(NN.gen > S.gen || NN.wm >= S.wm);                                         /* A2 */
#endif
#endif
     NN.ver = S.ver + 1;
     cp(S, NN);
     res = OK
  fi
}

inline check_state() {
#ifndef ROLLBACK
  hi = 0;
  do
  :: hi < S.np -> assert(b_file[S.p[hi]] || HIST(S.p[hi])); hi++                      /* A3 */
  :: else -> break
  od;
#ifndef NEWCLUSTER
  hi = 1;
  do
  :: hi < S.np ->
     assert(b_par[S.p[hi]] == S.p[hi - 1]);                                           /* A4 */
#ifndef VERSIONS
     assert(b_lo[S.p[hi]] == b_hi[S.p[hi - 1]]);
#endif
     hi++
  :: else -> break
  od;
  if
  :: S.np > 0 && !HIST(S.p[0]) -> assert(b_rep[S.p[0]] || b_par[S.p[0]] == l_last || FOREIGN);
#ifndef VERSIONS
     assert(b_lo[S.p[0]] == 0 || b_lo[S.p[0]] == l_hi)
#endif
  :: else
  fi;
#ifndef VERSIONS
  if :: S.np > 0 -> assert(b_hi[S.p[S.np - 1]] == S.wm) :: else fi;
#endif
#endif
  hi = 0
#else
  skip
#endif
}

/* What a client sees of its PUT. */
inline put(PN, PV) {
  atomic {
    if
    :: true -> apply(PN, PV); check_state()
    :: faults > 0 -> faults--; apply(PN, PV); check_state(); res = UNK                /* the answer is lost */
    :: faults > 0 -> faults--; res = UNK                                             /* it never arrived */
    :: faults > 0 && !gpon -> faults--; cp(gp, PN); gpv = PV; gpon = 1; res = UNK      /* it arrives later */
    fi
  }
}
