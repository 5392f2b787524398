using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// A checkpoint that is read again: one at a time, by a thread that gives way to everybody, and given up when nobody asks for it any more.
/// </summary>
internal sealed partial class NodeAgent
{
    /// <summary>
    /// A folder that is gone is told so late: by then whoever asks has heard of the save after which retention let go of it, and asks no
    /// more.
    /// </summary>
    private static readonly TimeSpan GoneAfter = TimeSpan.FromMinutes(1);

    private CancellationTokenSource? _reading;
    private long _readingId;

    /// <summary>The newest order is what counts; what it does not name is not read further.</summary>
    private void HandOn(ReadOrder? order)
    {
        if (order?.Id == _readingId || (order is null && _reading is null))
        {
            return;
        }

        _reading?.Cancel();
        (_reading, _readingId) = (null, 0);
        if (order is null || _wanted is not Wanted.Training { Assignment.Plan.CheckpointRoot: { Length: > 0 } root } training)
        {
            return;
        }

        (_reading, _readingId) = (new CancellationTokenSource(), order.Id);
        var (news, reader, stop) = (_news.Writer, _reader, _reading.Token);
        new Thread(() =>
        {
            Posix.GiveWay();
            try
            {
                var read = reader.Read(root, order, Rest);
                if (read is ShareRead.Gone)
                {
                    Rest(GoneAfter);
                    read = reader.Read(root, order, Rest);
                }

                news.TryWrite(new AgentNews.Read(order, training.Assignment, read));
            }
            catch (OperationCanceledException)
            {
                // Nobody wants to know any more.
            }
        })
        { IsBackground = true, Name = "checkpoint reader" }.Start();

        void Rest(TimeSpan time)
        {
            _ = stop.WaitHandle.WaitOne(time);
            stop.ThrowIfCancellationRequested();
        }
    }

    private void Take(AgentNews.Read news)
    {
        var (order, assignment, read) = news;
        if (order.Id != _readingId)
        {
            return;
        }

        _reading = null;
        if (read is ShareRead.Gone && !_contact.Registered)
        {
            // Whoever asked may know by now that it is gone, and could not say so. If not it is asked for again.
            _readingId = 0;
            return;
        }

        string? damaged = read switch
        {
            ShareRead.Damaged found => found.Reason,
            ShareRead.Gone gone => gone.Reason,
            _ => null,
        };
        if (damaged is not null)
        {
            string reason = $"read again by the agent on {_options.Node}, {damaged}";
            _log($"checkpoint {order.Path} is damaged: {damaged}");
            if (_reader.SetAside(assignment, order, reason) is { } failed)
            {
                Note($"could not move the damaged checkpoint {order.Path} aside: {failed}. Move it away by hand, so that it is not "
                    + "counted for a good one.");
            }

            _reports.Add(new RefusedCheckpoint { Path = order.Path, Reason = reason, Digest = order.Digest, Attempt = _wanted.Attempt });
        }
        else
        {
            _reports.Add(new CheckpointRead
            {
                Id = order.Id, Share = order.Share, Unreadable = (read as ShareRead.Unreadable)?.Reason ?? "",
            });
        }

        foreach (string odd in (read as ShareRead.Whole)?.Odd ?? [])
        {
            Note($"read {odd} of checkpoint {order.Path} wrongly once and rightly the next time: look at this node's memory and at its "
                + "way to the disk if it comes again.");
        }

        _contact.Urgent = true;
    }
}
