/// Tests a [`FileSystem`](crate::fs::FileSystem): makes a test for each promise. The crate needs `tokio` with `macros` and
/// `rt-multi-thread`.
///
/// ```ignore
/// file_system_suite!(Fixture::new => users, times, restarts);
/// mod full {
///     file_system_suite!(only full: Fixture::small);
/// }
/// ```
///
/// The factory is an expression that, called without arguments, gives a new
/// [`FileSystemFixture`](crate::testing::file_system::FileSystemFixture). Behind the arrow is what the file system can do beyond that
/// which all do; capabilities that it may have or not ([`xattrs`](crate::fs::FileSystem::xattrs) and so on) are tested if they are there.
///
/// - `users`: it tells callers apart, and the [`caller`](crate::testing::file_system::FileSystemFixture::caller) is the superuser.
/// - `times`: it keeps all times itself, rather than a file system below it, by a clock that only ticks when it is told to.
/// - `restarts`: what is there is found again after a restart.
/// - `full`: it has room for so little, 64 MiB at most, that the tests can fill it.
#[macro_export]
macro_rules! file_system_suite {
    (only $group:ident: $factory:expr) => {
        $crate::file_system_suite! { @$group $factory }
    };
    (@common $factory:expr) => {
        $crate::file_system_suite! { @cases $factory =>
            an_empty_root_directory,
            what_holds_for_all_objects,
            every_type_of_object,
            attributes_of_new_objects,
            an_unchecked_create_makes_or_opens,
            a_guarded_create_only_makes,
            an_exclusive_create_can_be_repeated,
            the_verifier_lasts_until_attributes_are_set,
            only_files_are_opened,
            a_new_file_is_opened_whatever_its_mode,
            what_is_there_is_not_made_again,
            names_are_any_bytes_up_to_the_limit,
            symbolic_links_keep_any_target,
            only_symbolic_links_are_read_as_such,
            nothing_is_set_if_something_must_not_be,
            modes_are_set_and_kept,
            the_size_is_set_and_times_with_it,
            only_files_have_a_size_to_set,
            the_largest_size,
            times_are_kept_before_and_after_the_epoch,
            the_time_now,
            what_is_written_is_read,
            reads_end_at_the_end_of_the_file,
            writes_beyond_the_end_leave_zeros,
            truncation_and_extension,
            stable_writes_are_stable,
            commits_of_any_range,
            the_write_verifier_stays,
            only_files_have_content,
            a_file_is_what_a_model_says,
            objects_are_found_by_name_and_by_handle,
            an_object_has_its_names_and_its_life,
            an_open_file_outlives_its_name,
            an_open_file_outlives_being_replaced,
            every_hold_counts,
            a_handle_is_never_used_again,
            foreign_handles_are_stale,
            a_removed_directory_is_stale,
            only_directories_have_names_in_them,
            only_empty_directories_are_removed,
            links_are_names_of_one_object,
            directories_have_one_name,
            changes_of_directories_are_told,
            parents_of_directories,
            what_goes_onto_what,
            a_directory_does_not_go_below_itself,
            nothing_goes_onto_its_own_ancestor,
            two_names_of_one_object_both_stay,
            a_moved_directory_has_a_new_parent,
            a_name_is_renamed_to_itself,
            an_empty_directory_has_no_entries,
            every_entry_comes_once_whatever_the_room,
            listings_carry_handles_and_attributes,
            what_stays_comes_once_while_others_come_and_go,
            a_listing_goes_on_when_its_last_entry_is_gone,
            cookies_stay_while_the_directory_lives,
            a_big_directory,
            what_cannot_be_listed,
            entries_have_their_places,
            what_a_call_changes,
            xattrs_are_set_by_what_is_there,
            xattrs_are_any_bytes,
            xattrs_are_removed,
            xattrs_of_types,
            listing_xattrs_goes_on_from_its_cookie,
            a_long_list_of_xattrs,
            xattrs_go_with_their_object,
            access_to_xattrs_is_told,
            seeking_finds_data,
            seeking_at_the_ends,
            an_allocated_range_reads_as_before,
            a_deallocated_range_reads_as_zeros,
            only_files_have_ranges,
            copies_of_ranges,
            copies_within_a_file,
            clones_are_apart,
            only_files_are_copied,
            one_of_many_creates_it,
            one_of_many_removes_it,
            a_name_that_is_replaced_is_always_there,
            directories_move_about_and_stay_a_tree,
            files_come_and_go_in_one_directory,
            two_cannot_move_below_each_other,
            writes_of_many_all_stay,
            listings_beside_changes_miss_nothing,
            opens_beside_removals,
        }
    };
    (@users $factory:expr) => {
        $crate::file_system_suite! { @cases $factory =>
            modes_say_who_may_do_what,
            access_says_what_may_be_done,
            search_permission_is_needed_on_the_way,
            who_may_list,
            who_may_make,
            who_may_open_what_is_there,
            a_retried_exclusive_create,
            a_new_file_is_its_makers,
            attributes_that_a_maker_may_give,
            a_setgid_directory_hands_its_group_down,
            devices_are_made_by_the_superuser,
            who_may_set_what,
            set_id_bits,
            an_open_for_writing_truncates_whatever_the_mode_is_now,
            set_ids_go_with_a_write,
            data_needs_permission_or_an_open,
            ranges_need_permission,
            who_may_remove,
            who_may_link,
            who_may_rename,
            a_directory_that_gets_another_parent_must_be_writable,
            who_may_use_xattrs,
        }
    };
    (@times $factory:expr) => {
        $crate::file_system_suite! { @cases $factory =>
            access_times_follow_reads,
            what_a_call_changes_exactly,
            a_delegated_access_time_is_no_change,
            a_delegated_access_time_before_that_of_the_file_is_ignored,
            a_delegated_modify_time_is_the_time_of_the_change,
            a_delegated_modify_time_does_not_turn_back_time_metadata,
            delegated_times_do_not_run_ahead_of_the_clock,
            delegated_times_need_an_open,
        }
    };
    (@restarts $factory:expr) => {
        $crate::file_system_suite! { @cases $factory =>
            a_tree_is_there_after_a_restart,
            handles_outlive_restarts,
            what_was_removed_stays_away,
            stable_data_outlives_a_restart,
            unstable_data_is_committed_or_the_verifier_tells,
            an_exclusive_create_is_repeated_after_a_restart,
            xattrs_outlive_a_restart,
            numbers_are_not_given_again_after_a_restart,
            changes_grow_over_restarts,
            listings_go_on_after_a_restart,
            what_was_unlinked_and_open_goes_at_last,
            a_random_history_outlives_restarts,
        }
    };
    (@full $factory:expr) => {
        $crate::file_system_suite! { @cases $factory =>
            a_full_file_system_refuses_and_recovers,
            names_find_no_room_and_then_some,
            a_write_that_finds_no_room_leaves_what_was_there,
            what_goes_gives_its_space_back,
        }
    };
    (@cases $factory:expr => $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let mut world = $crate::testing::file_system::World::open($factory()).await;
            $crate::testing::file_system::$case(&mut world).await;
            world.finish().await;
        }
    )+};
    ($factory:expr) => {
        $crate::file_system_suite! { @common $factory }
    };
    ($factory:expr => $($group:ident),+ $(,)?) => {
        $crate::file_system_suite! { @common $factory }
        $($crate::file_system_suite! { @$group $factory })+
    };
}
