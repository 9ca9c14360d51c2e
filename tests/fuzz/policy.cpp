// The client's policy, and what is asked of it when a manifest is held against it.
#include "audit/policy.h"

#include "audit/planning.h"
#include "fuzz/json_input.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  fuzz::takes([&] {
    const audit::Policy policy = audit::parse_policy(fuzz::text_of(data, size));
    static_cast<void>(audit::unpinned(&policy));
    if (policy.nonce) AFTUNE_CHECK(audit::run_id_of(policy).size() == 32);
    record::Manifest manifest;
    manifest.run = "00112233445566778899aabbccddeeff";
    manifest.created = 1700000000;
    manifest.recipe.steps = manifest.grid.steps = 6;
    manifest.grid.layers = 2;
    static_cast<void>(audit::check_policy(policy, manifest));
    if (policy.plan)
      fuzz::takes([&] {
        const audit::WantedPlan& wanted = *policy.plan;
        const audit::Plan plan = audit::plan_for(wanted.confidence, wanted.attacker, {}, manifest.grid);
        const audit::Odds odds = audit::odds_of(plan, manifest.grid, wanted.attacker);
        AFTUNE_CHECK(odds.detection >= 0 && odds.detection <= 1);
      });
  });
  return 0;
}
