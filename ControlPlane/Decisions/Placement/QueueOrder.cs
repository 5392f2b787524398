using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Who is looked at first: priority, then who lost a node, then fair share, then first come. All who wait are compared at each decision,
/// thousands of them: so nothing is allocated for it.
/// </summary>
internal sealed class QueueOrder(TeamShares shares) : IComparer<GangRequest>
{
    public List<GangRequest> Apply(List<GangRequest> waiting)
    {
        // From one decision to the next most of a queue stands as it stood.
        if (!IsOrdered(waiting))
        {
            waiting.Sort(this);
        }

        return waiting;
    }

    public int Compare(GangRequest? x, GangRequest? y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        int order = y.Priority.CompareTo(x.Priority);
        order = order != 0 ? order : y.Restores.CompareTo(x.Restores);
        order = order != 0 || x.Team == y.Team ? order : shares.Of(x.Team).CompareTo(shares.Of(y.Team));
        order = order != 0 ? order : x.Since.CompareTo(y.Since);
        return order != 0 ? order : x.Stage.CompareTextTo(y.Stage);
    }

    private bool IsOrdered(List<GangRequest> waiting)
    {
        for (int i = 1; i < waiting.Count; i++)
        {
            if (Compare(waiting[i - 1], waiting[i]) > 0)
            {
                return false;
            }
        }

        return true;
    }
}
