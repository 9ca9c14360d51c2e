# scripts/campaign.sbatch on this machine, and on a Slurm cluster of one node where Slurm is installed.
set(campaign ${CMAKE_CURRENT_SOURCE_DIR}/campaign/campaign.sh ${PROJECT_BINARY_DIR}/bin
  ${PROJECT_SOURCE_DIR}/scripts/campaign.sbatch ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
add_test(NAME campaign.local COMMAND ${campaign} local)
find_program(AFTUNE_SLURMCTLD slurmctld PATHS /usr/sbin)
if(AFTUNE_SLURMCTLD)
  add_test(NAME campaign.slurm COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/campaign/one_node_slurm.sh ${campaign} slurm)
  set_tests_properties(campaign.slurm PROPERTIES FIXTURES_REQUIRED cli SKIP_RETURN_CODE 77 TIMEOUT 180)
endif()
set_tests_properties(campaign.local PROPERTIES FIXTURES_REQUIRED cli)
